"""
Quantiles and bars of any number of amounts, in constant memory.

Follows: the bucketing of HdrHistogram (Gil Tene), a fixed number of leading bits of each amount.
"""

from __future__ import annotations

import math
from typing import NamedTuple

#: Leading bits that are kept. Amounts below 2⁷ stay exact; above, a bin is at most 1/64 of its
#: amounts wide and is answered by its middle, so the error is below 1/128.
_BITS = 7

#: The most that a quantile may be away from the true one, as a share of it.
RELATIVE_ERROR = 1 / 2**_BITS

#: The finest that an octave is divided for bars; each part is a whole number of bins.
_FINEST = 8


class Bar(NamedTuple):
    """Amounts from *low* to *high*, both included, and of how many rows they are."""

    low: int
    high: int
    rows: int


class Histogram:
    """
    Counts amounts in bins whose width grows with the amount.

    There are 64 bins for each doubling: some 1,300 up to a hundred million.
    """

    __slots__ = ("_bins", "count", "largest", "smallest", "total")

    def __init__(self) -> None:
        self._bins: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.smallest = 0
        self.largest = 0

    def add(self, amount: int, times: int = 1) -> None:
        """Count *amount*, a whole number that is not negative, of *times* rows."""
        if amount < 0:
            raise ValueError(f"an amount must not be negative, got {amount}")
        shift = amount.bit_length() - _BITS
        key = amount >> shift << shift if shift > 0 else amount
        self._bins[key] = self._bins.get(key, 0) + times
        self.largest = max(self.largest, amount)
        if amount < self.smallest or not self.count:
            self.smallest = amount
        self.count += times
        self.total += times * amount

    def quantile(self, share: float) -> float:
        """
        Return the amount that *share* of all amounts do not exceed; 0 if there are none.

        It differs from the true one (the nearest rank: number ceil(share × count) in ascending
        order) by less than `RELATIVE_ERROR` of it, and is exact below 128 and at 0 and 1.

        Raises:
            ValueError: *share* is not within 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share must be within 0 to 1, got {share}")
        rank = math.ceil(share * self.count)
        if rank <= 1:
            return self.smallest
        if rank >= self.count:
            return self.largest
        for key in sorted(self._bins):
            rank -= self._bins[key]
            if rank <= 0:
                width = 1 << max(0, key.bit_length() - _BITS)
                return min(max(key + (width - 1) / 2, self.smallest), self.largest)
        raise AssertionError("the bins hold fewer amounts than were counted")

    def bars(self, most: int = 12) -> list[Bar]:
        """
        Return at most about *most* bars on a logarithmic scale, without gaps, none if empty.

        Each covers a doubling of the amount, or an equal part of one if there is room for it. All
        counts are exact.
        """
        if not self.count:
            return []
        octaves = self.largest.bit_length() - self.smallest.bit_length() + 1
        parts = _FINEST
        while parts > 1 and octaves * parts > most:
            parts //= 2
        counts: dict[int, int] = {}
        for key, count in self._bins.items():
            low = _bar_of(key, parts)
            counts[low] = counts.get(low, 0) + count
        bars = []
        low = _bar_of(self.smallest, parts)
        while low <= self.largest:
            high = _next(low, parts) - 1
            bars.append(Bar(low, high, counts.get(low, 0)))
            low = high + 1
        return bars


def _bar_of(amount: int, parts: int) -> int:
    """Return where the bar of *amount* starts, with *parts* (a power of two) to an octave."""
    shift = amount.bit_length() - parts.bit_length()
    return amount >> shift << shift if shift > 0 else amount


def _next(low: int, parts: int) -> int:
    return low + (1 << max(0, low.bit_length() - parts.bit_length()))
