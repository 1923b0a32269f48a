"""Merges the results of several shards of one file."""
