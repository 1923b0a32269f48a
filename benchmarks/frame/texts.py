"""
Texts to measure counting with, and the bare tokenizer beside it.

Decides where they come from: Python's own help texts, which every machine has. Not from a
download, and not from words at random, which tokenize unlike prose.
"""

from __future__ import annotations

from pydoc_data.topics import topics
from typing import TYPE_CHECKING

from ratedispatch.tokens.vocabulary import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable


def prose() -> str:
    """Return about half a million characters of English; the same in each process."""
    # the dictionary's order is fixed; runs of blanks are the layout of a terminal, not of prose
    return " ".join(" ".join(topics.values()).split())


def bare_encoder() -> Callable[[str], list[int]]:
    """Return tiktoken's own ``encode_ordinary`` of ``o200k_base``."""
    encoding = SHARED.encoding("o200k_base")
    assert encoding is not None
    return encoding.encode_ordinary
