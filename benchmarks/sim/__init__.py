"""The program in virtual time: seeded, exact, and compared to the digit."""
