"""
Whether a name has been seen before, at about eight bytes a name.

Knows nothing of rows or files.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left

#: Sorted arrays into which the digests are spread by their last bits. With a million names each
#: holds some 250, so that an insertion moves two kilobytes at most.
_SHELVES = 4096


class NameSet:
    """
    A set of names, kept as 64-bit digests in sorted arrays.

    A Python set takes some hundred bytes for each name, which a million rows would notice. The
    chance that two different names among a million share a digest is 3 in 10⁸.
    """

    __slots__ = ("_shelves",)

    def __init__(self) -> None:
        self._shelves = [array("Q") for _ in range(_SHELVES)]

    def add(self, name: str) -> bool:
        """Add *name*; return whether it was not there."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        key = int.from_bytes(digest, "little")
        shelf = self._shelves[key % _SHELVES]
        index = bisect_left(shelf, key)
        if index < len(shelf) and shelf[index] == key:
            return False
        shelf.insert(index, key)
        return True
