"""The requests of a modelled queue that are not answered, in the order in which they left."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Requests that left within so many seconds may have overtaken one another, as the engine sees
#: it: while more are in flight than ever before, and later.
_WIDENING_SECONDS = 1.0
_JITTER_SECONDS = 0.03


class OpenRequests:
    """
    When each request left, of what size it is, and whether it is open, by its number from 1.

    Attributes:
        count: How many were sent.
        in_flight: How many are open.
        peak: The most that were.
    """

    __slots__ = ("_is_open", "_sent_at", "_sizes", "_widened_at", "count", "in_flight", "peak")

    def __init__(self) -> None:
        self._sent_at = array("d", (0.0,))
        self._sizes = array("I", (0,))
        self._is_open = bytearray(1)
        self.count = self.in_flight = self.peak = 0
        self._widened_at = 0.0

    def add(self, now: float, size: int) -> int:
        """Add a request of *size* tokens that leaves *now*; return how many are in flight."""
        self._sent_at.append(now)
        self._sizes.append(size)
        self._is_open.append(1)
        self.count += 1
        self.in_flight = load = self.in_flight + 1
        if load > self.peak:
            self.peak, self._widened_at = load, now
        return load

    def close(self, number: int) -> None:
        """Close the request with *number*."""
        self._is_open[number] = 0

    def overtaken(self, *, is_counted: bool) -> Callable[[int, float], float]:
        """Return what tells how much may have reached the provider after a later request."""
        sent, sizes, is_open = self._sent_at, self._sizes, self._is_open

        def overtaken(number: int, sent_at: float) -> float:
            """Return what left shortly before the request with *number*, and is open."""
            is_widening = sent_at - self._widened_at < _WIDENING_SECONDS
            earliest = sent_at - (_WIDENING_SECONDS if is_widening else _JITTER_SECONDS)
            amount = 0
            number -= 1
            while number and sent[number] >= earliest:
                if is_open[number]:
                    amount += 1 if is_counted else sizes[number]
                number -= 1
            return amount

        return overtaken
