"""What a provider is like, from what it has done: numbers, each with how sure it is."""
