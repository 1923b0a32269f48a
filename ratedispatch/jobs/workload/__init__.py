"""Reads and counts the rows of a file once, and keeps the counts for the next command."""
