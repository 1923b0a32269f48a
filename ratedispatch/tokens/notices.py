"""
The warnings of counting: what is approximate, said once.

Decides only their types, so that a caller can silence or catch each kind on its own.
"""

from __future__ import annotations


class CountingWarning(UserWarning):
    """The root of every warning that counting gives."""


class UnknownModelWarning(CountingWarning):
    """A model that no table names; it is counted as a current OpenAI model would be."""


class UnreadValueWarning(CountingWarning):
    """A value that counting cannot read; its request is counted as its JSON text, and sent."""


class MissingVocabularyWarning(CountingWarning):
    """An encoding whose rank file is not available; its counts are estimates that err high."""
