"""
A rate learned from refusals, used where no limit is set.

Begins with the first refusal that follows the speed and not before, so that a queue without
limits is not slowed down by anything else. Pure in the instants that it is handed.
"""

from __future__ import annotations

import math

from ratedispatch.pacing.limit.rate_search import RateSearch

#: Seconds of rate that may go at once after a wait that was too long: timers are late.
_CATCH_UP_SECONDS = 0.05


class Throttle:
    """
    One request after the other, at the rate of a `RateSearch`.

    Args:
        guess: The rate to begin with, per second: what was admitted lately.
        now: The instant.
    """

    __slots__ = ("_next", "_search")

    def __init__(self, guess: float, now: float) -> None:
        self._search = RateSearch()
        self._search.seed(guess, now, is_guess=True)
        self._next = now

    @classmethod
    def recalled(cls, per_second: float) -> Throttle:
        """Return one that begins with the rate that an earlier run has found."""
        throttle = cls(per_second, -math.inf)
        throttle._search.recall(per_second)
        return throttle

    def found(self, now: float, admitted: int) -> float | None:
        """Return the rate per second that another run may begin with; None without news."""
        return self._search.found(now, admitted, 1.0)

    def on_refusal(self, now: float, *, admitted: int, resumes_at: float) -> None:
        """
        Learn from the first refusal of an episode.

        Args:
            now: When.
            admitted: Requests that the provider has admitted in all.
            resumes_at: When we shall send again.
        """
        self._search.on_refusal(now, amount=1.0, admitted=admitted, resumes_at=resumes_at)
        self._next = resumes_at

    def rate(self, now: float) -> float:
        """Return what may be sent a second."""
        return self._search.rate(now)

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may go."""
        return max(0.0, self._next - now)

    def take(self, now: float) -> None:
        """Count a request that goes *now*."""
        self._search.begin(now)
        earliest = now - _CATCH_UP_SECONDS
        self._next = max(self._next, earliest) + 1 / self._search.rate(now)
