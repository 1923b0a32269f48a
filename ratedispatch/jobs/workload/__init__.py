"""The rows of a file by what they cost: read and counted once, and kept for the next command."""
