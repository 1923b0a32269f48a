"""
Finds names that occur more than once, in memory that does not grow with their number.

An external sort by hash: digests are written to a temporary file in 64 parts, and each part is
then read and compared on its own.
"""

from __future__ import annotations

import tempfile
from array import array
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Parts, compared one after the other, so that each fits into memory.
_BINS = 64

#: Digests of one part that wait in memory before they are written.
_WAITING = 512


class RepeatFinder:
    """
    Finds the names that were added more than once, by their digests.

    Args:
        folder: Where the temporary file is kept; by default that of temporary files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed on leaving)
        self._bins = [array("q") for _ in range(_BINS)]
        self._stored: list[list[tuple[int, int]]] = [[] for _ in range(_BINS)]

    def __enter__(self) -> RepeatFinder:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: bytes) -> None:
        """Add *name*; only its digest is kept."""
        # salted for each process, so that no one can make names whose digests are the same
        digest = hash(name)
        waiting = self._bins[digest % _BINS]
        waiting.append(digest)
        if len(waiting) >= _WAITING:
            self._stored[digest % _BINS].append((self._file.tell(), len(waiting)))
            waiting.tofile(self._file)
            del waiting[:]

    def find(self) -> set[int]:
        """Return the digests (``hash(name)``) that were added more than once."""
        found: set[int] = set()
        for waiting, stored in zip(self._bins, self._stored, strict=True):
            for offset, count in stored:
                self._file.seek(offset)
                waiting.fromfile(self._file, count)
            if len(set(waiting)) < len(waiting):
                found.update(digest for digest, times in Counter(waiting).items() if times > 1)
            del waiting[:]
        return found
