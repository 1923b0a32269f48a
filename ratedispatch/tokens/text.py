"""
How many tokens a text has, for any text whatever.

Decides how long texts are sliced and what happens when the tokenizer gives up. Special tokens
in a text are ordinary characters here: it is the user's text, not a control sequence.
Works on one encoding at a time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ratedispatch.tokens.memory import LONG, Memory, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

# o200k_base gives up (with a panic that is no Exception) at about 1,000,000 blanks in a row, and
# a run of one kind costs n log n: far below both, and above any message but the longest
SLICE = 32_768
# roles and names: remembered at once
_WORD = 32
# hashes of texts met once: a megabyte or two
_MOST_ONCE = 16_384
# where every pattern starts a new piece whatever stands around: before a single blank or mark
# between letters, and after a line break before a letter. A cut there changes no count.
_SEAM = re.compile(r"(?<=[^\W\d_])(?=[ ,;:!?，。、！？][^\W\d_])|(?<=\n)(?=[^\W\d_])")
_REACH = 4_096
# a cut inside a piece gives +0.85 tokens on average; byte-pair merging is not monotonic, so a
# margin stands against the rare cut that would give fewer
_HARD_CUT = 2


class TextCounter:
    """
    Counts texts and remembers the counts.

    Args:
        count_once: Tokens of a text.
        memory: The most bytes to remember of texts, and as many of documents.

    Attributes:
        count_once: As given; it remembers nothing.
        documents: Room for the counts of tools and schemas, by their JSON text.
    """

    __slots__ = ("_once", "_texts", "count_once", "documents")

    def __init__(self, count_once: Callable[[str], int], memory: int) -> None:
        self.count_once = count_once
        self.documents = Memory(memory)
        self._texts = Memory(memory)
        self._once: set[int] = set()

    def count(self, text: str) -> int:
        """
        Return the tokens of *text*, from memory if it was counted lately.

        A longer text is remembered when it is met again: most are never met again, and keeping
        each of a million prompts for a while costs more than counting a shared one twice.
        Of one longer still only the digest is kept, at once.
        """
        if len(text) > LONG:
            return self._count_long(text)
        texts = self._texts
        found = texts.young.get(text)
        if found is not None:
            return found
        found = texts.old.get(text)
        if found is None:
            found = self.count_once(text)
            if len(text) > _WORD and self._is_new(text):
                return found
        texts.put(text, found)
        return found

    def _count_long(self, text: str) -> int:
        key = key_of(text)
        found = self._texts.get(key)
        if found is None:
            found = self.count_once(text)
            self._texts.put(key, found)
        return found

    def _is_new(self, text: str) -> bool:
        """Whether *text* is met first, by its hash; a chance likeness only remembers it early."""
        key = hash(text)
        if key in self._once:
            return False
        if len(self._once) >= _MOST_ONCE:
            self._once = set()
        self._once.add(key)
        return True


def count_text(encode: Callable[[str], list[int]], text: str) -> int:
    """
    Return the tokens of *text* by *encode*; never fewer than in one piece, for any length.

    A slice that the tokenizer cannot take counts its UTF-8 bytes, the most that it can have.
    """
    if len(text) <= SLICE:  # most texts are short, and this makes one call less
        try:
            return len(encode(text))
        except BaseException as error:
            return _without(error, text)
    tokens = start = 0
    while len(text) - start > SLICE:
        cut, margin = _cut(text, start + SLICE)
        tokens += _count_piece(encode, text[start:cut]) + margin
        start = cut
    return tokens + _count_piece(encode, text[start:])


def _cut(text: str, end: int) -> tuple[int, int]:
    """Return where to cut *text* at or shortly before *end*, and the margin of this cut."""
    seams = [seam.start() for seam in _SEAM.finditer(text, end - _REACH, end)]
    return (seams[-1], 0) if seams else (end, _HARD_CUT)


def _count_piece(encode: Callable[[str], list[int]], text: str) -> int:
    try:
        return len(encode(text))
    except BaseException as error:
        return _without(error, text)


def _without(error: BaseException, text: str) -> int:
    """Return the most tokens that *text* can have, if *error* is one of the tokenizer."""
    # the PanicException of tiktoken's Rust side is no Exception; KeyboardInterrupt must pass
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    # a lone surrogate is encoded as U+FFFD: three bytes
    return len(text.encode("utf-8", "surrogatepass"))
