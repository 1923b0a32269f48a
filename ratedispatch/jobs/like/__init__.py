"""Reads what an earlier run shows about a provider from its files, for `simulate --like`."""
