"""Limits that several processes share: the record of them, and a budget that keeps a copy of it."""
