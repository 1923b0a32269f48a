"""
The number in flight that was refused not long ago.

Decides how long it is kept away from. Knows neither requests nor a clock.
"""

from __future__ import annotations

from math import inf


class Ceiling:
    """
    The most that may be tried after a refusal.

    Args:
        pairs: It holds for so many pairs of numbers.
    """

    __slots__ = ("_below", "_pairs", "_seen")

    def __init__(self, pairs: int) -> None:
        self._pairs = pairs
        self._seen = 0
        self._below = inf

    def refused(self, in_flight: int) -> None:
        """Note that so many *in_flight* were too many."""
        self._below = max(1, in_flight - 1)
        self._seen = 0

    def count_pair(self) -> None:
        """Note that a pair has ended."""
        self._seen += 1
        if self._seen > self._pairs:
            self._below = inf

    def lift(self) -> None:
        """Keep away from nothing any longer."""
        self._below = inf

    def within(self, least: int, most: int) -> int:
        """Return the most that may be tried of what is allowed, from *least* to *most*."""
        return max(least, int(min(most, self._below)))
