"""
Answers as objects: by a pydantic model, by a JSON schema, or as the openai package has them.

Works on bodies as they came. Imports pydantic and the openai package only for whom asks for
their objects.
"""
