"""
A set of row numbers at a bit for each row.

Knows nothing of what the rows are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes by which it grows at least.
_STEP = 1024


class RowSet:
    """A set of row numbers that takes a bit for each row up to the largest."""

    __slots__ = ("_bits", "_count")

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: int) -> bool:
        index, bit = divmod(row, 8)
        return index < len(self._bits) and bool(self._bits[index] >> bit & 1)

    def add(self, row: int) -> bool:
        """Add *row*; return whether it was not there."""
        index, bit = divmod(row, 8)
        if index >= len(self._bits):
            self._bits.extend(bytes(index + 1 - len(self._bits) + _STEP))
        if self._bits[index] >> bit & 1:
            return False
        self._bits[index] |= 1 << bit
        self._count += 1
        return True

    def discard(self, row: int) -> bool:
        """Take *row* out; return whether it was there."""
        if row not in self:
            return False
        self._bits[row >> 3] &= ~(1 << (row & 7)) & 0xFF
        self._count -= 1
        return True

    def __iter__(self) -> Iterator[int]:
        for index, byte in enumerate(self._bits):
            if byte:
                yield from (8 * index + bit for bit in range(8) if byte >> bit & 1)
