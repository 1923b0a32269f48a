"""A set of row numbers, at one bit per row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Bytes by which it grows at least.
_STEP = 1024

_NOT_FULL = re.compile(rb"[^\xff]")


class RowSet:
    """A set of row numbers that takes a bit for each row up to the largest."""

    __slots__ = ("_bits", "_count")

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    @classmethod
    def up_to(cls, last: int) -> RowSet:
        """Return the set of all numbers from 1 to *last*."""
        rows = cls()
        if last >= 1:
            rows._set((1 << (last + 1)) - 2, (last >> 3) + 1)
        return rows

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: int) -> bool:
        index = row >> 3
        return index < len(self._bits) and bool(self._bits[index] >> (row & 7) & 1)

    def __iter__(self) -> Iterator[int]:
        for index, byte in enumerate(self._bits):
            if byte:
                yield from (8 * index + bit for bit in range(8) if byte >> bit & 1)

    def add(self, row: int) -> bool:
        """Add *row*; return whether it was not there."""
        if row in self:
            return False
        self._reach(row)
        self._bits[row >> 3] |= 1 << (row & 7)
        self._count += 1
        return True

    def discard(self, row: int) -> bool:
        """Take *row* out; return whether it was there."""
        bits, index, bit = self._bits, row >> 3, 1 << (row & 7)
        if index >= len(bits) or not bits[index] & bit:
            return False
        bits[index] ^= bit
        self._count -= 1
        return True

    def update(self, rows: Iterable[int]) -> None:
        """Add *rows*, many at once."""
        bits, length = self._bits, len(self._bits)
        for row in rows:
            index = row >> 3
            if index >= length:
                self._reach(row)
                length = len(bits)
            bits[index] |= 1 << (row & 7)
        self._recount()

    def merge(self, other: RowSet) -> None:
        """Add the rows of *other*."""
        size = max(len(self._bits), len(other._bits))
        self._set(self._number | other._number, size)

    def remove(self, other: RowSet) -> None:
        """Take the rows of *other* out."""
        self._set(self._number & ~other._number, len(self._bits))

    def keep(self, other: RowSet) -> None:
        """Take out all rows that are not in *other* too."""
        self._set(self._number & other._number, len(self._bits))

    def next_missing(self, row: int) -> int:
        """Return the first number from *row* on that is not in it."""
        bits = self._bits
        while row in self:
            if row & 7 == 0 and bits[row >> 3] == 0xFF:
                found = _NOT_FULL.search(bits, row >> 3)
                row = 8 * (len(bits) if found is None else found.start())
            else:
                row += 1
        return row

    @property
    def _number(self) -> int:
        return int.from_bytes(self._bits, "little")

    def _set(self, number: int, size: int) -> None:
        self._bits[:] = number.to_bytes(size, "little")
        self._count = number.bit_count()

    def _recount(self) -> None:
        self._count = self._number.bit_count()

    def _reach(self, row: int) -> None:
        index = row >> 3
        if index >= len(self._bits):
            self._bits.extend(bytes(index + 1 - len(self._bits) + _STEP))
