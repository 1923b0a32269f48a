"""
A rate where no limit is set, learned from refusals.

Begins with the first refusal that follows the speed and not before, so that a queue without
limits is not slowed down by anything else. Pure in the instants that it is handed.
"""

from __future__ import annotations

from ratedispatch.pacing.limit.rate_search import RateSearch

#: Seconds of rate that may go at once after a wait that was too long: timers are late.
_CATCH_UP_SECONDS = 0.05

#: The shortest stretch over which a first rate is taken, in seconds: what goes at once at the
#: start says little about a rate.
_SHORTEST_STRETCH = 1.0


class Throttle:
    """
    One request after the other, at the rate of a `RateSearch`.

    Args:
        began: When the first request was sent.
    """

    __slots__ = ("_began", "_next", "_search")

    def __init__(self, began: float) -> None:
        self._began = began
        self._search = RateSearch()
        self._next = began

    def on_refusal(self, now: float, *, admitted: int, resumes_at: float) -> None:
        """
        Learn from the first refusal of an episode.

        Args:
            now: When.
            admitted: Requests that the provider has admitted in all.
            resumes_at: When we shall send again.
        """
        search = self._search
        if not search.is_set:
            stretch = max(_SHORTEST_STRETCH, now - self._began)
            search.seed(max(1, admitted) / stretch, resumes_at)
        search.on_refusal(now, amount=1.0, admitted=admitted, resumes_at=resumes_at)
        self._next = resumes_at

    def rate(self, now: float) -> float:
        """Return what may be sent a second."""
        return self._search.rate(now)

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may go."""
        return max(0.0, self._next - now)

    def take(self, now: float, speed: float) -> None:
        """Count a request that goes *now*, at *speed* times the rate."""
        earliest = now - _CATCH_UP_SECONDS
        self._next = max(self._next, earliest) + 1 / (self._search.rate(now) * speed)
