"""
Other ways to find the number in flight, written from their descriptions, to compare with ours.

`Aimd` is additive increase and multiplicative decrease (Chiu and Jain 1989), as many libraries have
it: one more for every full round without loss, and a share of it after a loss, or after a latency
beyond a given one. `Gradient` follows the idea of Netflix's Gradient2: the ratio of a long average
of latencies to the newest one scales the number, and a constant is added for a queue.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple


class _Token(NamedTuple):
    at: float
    in_flight: int


class _Limit:
    """What both have: a number with a fraction, and its bounds."""

    learns = True

    def __init__(self, start: int, most: int) -> None:
        self._exact = float(start)
        self._most = most

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return max(1, min(self._most, int(self._exact)))

    def full(self, now: float) -> float:  # noqa: ARG002 - silence says nothing to them
        """Return infinity: it never rises by itself."""
        return inf

    def sent(self, now: float, in_flight: int, is_full: bool) -> _Token:  # noqa: ARG002
        """Note that an attempt leaves."""
        return _Token(now, in_flight)

    def _is_used(self, token: _Token) -> bool:
        return 2 * token.in_flight >= self.limit


class Aimd(_Limit):
    """
    Additive increase, multiplicative decrease.

    Args:
        start: The first number.
        most: Never more than this.
        longest: A latency beyond so many seconds is a loss.
    """

    def __init__(self, *, start: int = 8, most: int, longest: float = 5.0) -> None:
        super().__init__(start, most)
        self._longest = longest
        self._cut_at = -inf

    def ended(self, token: _Token, now: float) -> None:
        """Add one for every full round."""
        if now - token.at > self._longest:
            self._cut(token, now)
        elif self._is_used(token):
            self._exact = min(self._most, self._exact + 1 / self.limit)

    def dropped(self, token: _Token) -> None:
        """Take a tenth away, once for each round."""
        self._cut(token, token.at)

    def _cut(self, token: _Token, now: float) -> None:
        if token.at >= self._cut_at:  # what had left before the cut does not cut again
            self._exact = max(1.0, self._exact * 0.9)
            self._cut_at = now


class Gradient(_Limit):
    """
    The number scaled by how much longer than usual answers take.

    Args:
        start: The first number.
        most: Never more than this.
        tolerance: So many times the usual latency are no sign of a queue.
        queue: Added each time, so that it grows while latencies do not.
        smoothing: The share of the newest number.
        window: Answers that make what is usual.
    """

    def __init__(
        self,
        *,
        start: int = 8,
        most: int,
        tolerance: float = 1.5,
        queue: int = 4,
        smoothing: float = 0.2,
        window: int = 600,
    ) -> None:
        super().__init__(start, most)
        self._tolerance, self._queue, self._smoothing = tolerance, queue, smoothing
        self._window = window
        self._seen = 0
        self._usual = 0.0

    def ended(self, token: _Token, now: float) -> None:
        """Scale by the ratio of the usual latency to this one."""
        latency = now - token.at
        self._seen += 1
        self._usual += (latency - self._usual) / min(self._seen, self._window)
        if self._usual > 2 * latency:  # recover from a time of long latencies
            self._usual *= 0.95
        if not self._is_used(token):
            return
        gradient = max(0.5, min(1.0, self._tolerance * self._usual / latency))
        wanted = self._exact * gradient + self._queue
        wanted = self._exact + self._smoothing * (wanted - self._exact)
        self._exact = max(1.0, min(self._most, wanted))

    def dropped(self, token: _Token) -> None:
        """Halve the step towards less: a loss counts as the longest latency."""
        if self._is_used(token):
            self._exact = max(1.0, self._exact * (1 - self._smoothing / 2))
