"""
Tokens of a text without its vocabulary.

An estimate for the encodings of retired models (p50k, r50k, gpt2), erring high: their
vocabularies hold half as many tokens as cl100k_base, fewest of them for other scripts and, in
r50k, none for blanks in a row. Knows a count by cl100k_base and the text, no other vocabulary.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BLANKS = re.compile(r"[ \t\n]{2,}")
# measured against r50k_base on prose in ten scripts, code, JSON, digits and base64: at most 1.38
# times the tokens of cl100k_base where all is ASCII (blanks in a row aside), at most 2.07 times
# where nothing is
_ASCII_PERCENT = 150
_OTHER_PERCENT = 70
# characters: what is examined in one call of C code; a cut rounds up, so it errs high
_SLICE = 32_768


def estimate_text(count: Callable[[str], int], text: str) -> int:
    """
    Return an estimate of the older tokens of *text*; *count* counts by cl100k_base.

    Never above its UTF-8 bytes, the most that a byte-level vocabulary can give.
    """
    return sum(_estimate_slice(count, text[at : at + _SLICE]) for at in range(0, len(text), _SLICE))


def _estimate_slice(count: Callable[[str], int], text: str) -> int:
    size = len(text.encode("utf-8", "surrogatepass"))
    ascii_size = len(text.encode("ascii", "ignore"))
    blanks = sum(len(run) - 1 for run in _BLANKS.findall(text))
    percent = _ASCII_PERCENT * size + _OTHER_PERCENT * (size - ascii_size)
    return min(size, -(-count(text) * percent // (100 * size)) + blanks)
