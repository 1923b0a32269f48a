"""
A memory of counts, bounded in bytes.

Maps texts to numbers.
A long text is known by its digest: to compare it costs as much, to keep it a thousand times more.
Two generations instead of a linked list: what is asked for is carried into the young one; when
that is full it becomes the old one, and the old one is dropped. Safe to share between threads.
"""

from __future__ import annotations

import threading
from hashlib import blake2b
from sys import getsizeof

# measured: a slot of a dict with its share of free slots, and an int above the small ones
_OVERHEAD = 140
#: Characters above which a text is known by its digest.
LONG = 32_768
_STEP = 65_536  # characters: 0.1 ms to encode; hashing lets other threads run
_DIGEST = 16  # bytes: no two texts of a job are taken for one another


def key_of(text: str) -> str | bytes:
    """Return what *text* is remembered by: itself, or the digest of a long one."""
    if len(text) <= LONG:
        return text
    digest = blake2b(digest_size=_DIGEST)
    for at in range(0, len(text), _STEP):
        digest.update(text[at : at + _STEP].encode("utf-8", "surrogatepass"))
    return digest.digest()


class Memory:
    """
    Remembers the counts of the texts asked for lately.

    Args:
        size: The most that it may hold, in bytes, texts and bookkeeping together.

    Attributes:
        young: What was asked for last, by text, or digest of a long one. Read it without a lock;
            only `put` writes.
        old: What was asked for before that; read likewise.
    """

    __slots__ = ("_half", "_held", "_largest", "_lock", "old", "young")

    def __init__(self, size: int) -> None:
        self._half = size // 2
        # a text above this would push out too much else
        self._largest = size // 8
        self._lock = threading.Lock()
        self.young: dict[str | bytes, int] = {}
        self.old: dict[str | bytes, int] = {}
        self._held = 0

    def get(self, key: str | bytes) -> int | None:
        """Return the count remembered for *key*, or None."""
        found = self.young.get(key)
        if found is None:
            found = self.old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: str | bytes, count: int) -> None:
        """Remember *count* for *key*, unless the key is too large for it."""
        size = getsizeof(key) + _OVERHEAD
        if size > self._largest:
            return
        with self._lock:
            if key in self.young:
                return
            if self._held + size > self._half:
                self.old, self.young, self._held = self.young, {}, 0
            self.young[key] = count
            self._held += size

    @property
    def held(self) -> int:
        """The bytes it holds at most: those of the young and a full old generation."""
        return self._held + (self._half if self.old else 0)
