"""
One framework each: how it is given a paced client, and how it asks for an answer.

Each module runs in the environment of its framework, and has a class `Door` with two coroutines,
``ask`` and ``stream``, which return the text of an answer.
"""
