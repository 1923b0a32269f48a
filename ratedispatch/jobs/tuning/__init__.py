"""Finds the best settings for a job, with prices, accounts and services, for `tune`."""
