"""
A memory of counts, bounded in bytes.

Decides what is remembered and what is forgotten. Knows texts and numbers, nothing of tokens.
Two generations instead of a linked list: what is asked for is carried into the young one; when
that is full it becomes the old one, and the old one is dropped. Safe to share between threads.
"""

from __future__ import annotations

import threading
from sys import getsizeof

# measured: a slot of a dict with its share of free slots, and an int above the small ones
_OVERHEAD = 140


class Memory:
    """
    Remembers the counts of the texts asked for lately.

    Args:
        size: The most that it may hold, in bytes, texts and bookkeeping together.

    Attributes:
        young: What was asked for last. Read it without a lock; only `put` writes.
    """

    __slots__ = ("_half", "_held", "_largest", "_lock", "_old", "young")

    def __init__(self, size: int) -> None:
        self._half = size // 2
        # a text above this would push out too much else
        self._largest = size // 8
        self._lock = threading.Lock()
        self.young: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._held = 0

    def get(self, text: str) -> int | None:
        """Return the count remembered for *text*, or None."""
        found = self.young.get(text)
        if found is None:
            found = self._old.get(text)
            if found is not None:
                self.put(text, found)
        return found

    def put(self, text: str, count: int) -> None:
        """Remember *count* for *text*, unless the text is too large for it."""
        size = getsizeof(text) + _OVERHEAD
        if size > self._largest:
            return
        with self._lock:
            if text in self.young:
                return
            if self._held + size > self._half:
                self._old, self.young, self._held = self.young, {}, 0
            self.young[text] = count
            self._held += size

    @property
    def held(self) -> int:
        """The bytes it holds at most: those of the young and a full old generation."""
        return self._held + (self._half if self._old else 0)
