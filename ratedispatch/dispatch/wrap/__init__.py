"""A client of the openai package, or its http client, whose calls are paced."""
