"""What a former run shows of a provider, from its files: for `simulate --like`."""
