"""
Counts amounts by their size in bins of equal ratio, and tells their quantiles.

Bounded: at most some hundred bins between a thousandth and a billion. Values only.
"""

from __future__ import annotations

import math

#: Bins for each factor of ten: neighbours differ by 5.9 %, and a quantile is right within 3 %.
_PER_DECADE = 40
_SCALE = _PER_DECADE / math.log(10)

#: The least and the largest amount that is told apart.
_LEAST, _MOST = 1e-3, 1e12


class Spread:
    """
    How often which amount was seen.

    Attributes:
        count: Amounts seen.
        total: Their sum.
        largest: The largest one.
    """

    __slots__ = ("_bins", "count", "largest", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.largest = 0.0
        self._bins: dict[int, int] = {}

    def add(self, amount: float) -> None:
        """Count *amount*; what is no finite number of 0 or more is left out."""
        if not 0 <= amount < math.inf:
            return
        number = int(math.log(min(max(amount, _LEAST), _MOST)) * _SCALE + 1_000)
        self._bins[number] = self._bins.get(number, 0) + 1
        self.count += 1
        self.total += amount
        self.largest = max(self.largest, amount)

    @property
    def mean(self) -> float:
        """The mean; 0 if nothing was seen."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Return the amount that *share* of all are at most; 0 if nothing was seen."""
        wanted, seen = share * self.count, 0
        for number in sorted(self._bins):
            seen += self._bins[number]
            if seen >= wanted:
                return min(math.exp((number + 0.5 - 1_000) / _SCALE), self.largest)
        return self.largest

    def bars(self, most: int) -> list[tuple[float, float, int]]:
        """Return at most *most* bars as their lower and upper edges and counts, without gaps."""
        if not self._bins:
            return []
        first, last = min(self._bins), max(self._bins)
        step = -(-(last - first + 1) // most)
        found = []
        for begin in range(first, last + 1, step):
            count = sum(self._bins.get(number, 0) for number in range(begin, begin + step))
            lower, upper = (math.exp((number - 1_000) / _SCALE) for number in (begin, begin + step))
            found.append((lower, upper, count))
        return found
