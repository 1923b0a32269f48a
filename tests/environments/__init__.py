"""The tests that depend on the openai package, with other versions of it."""
