"""
Interprets what providers say.

One module for each provider holds what is particular to it; `read` holds what is common to all
and names none of them; `registry` finds the provider of a base URL.
"""
