"""Servers that nobody here wrote, each with the program in front of it."""
