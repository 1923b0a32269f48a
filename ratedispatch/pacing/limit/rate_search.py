"""
What a limit must be, from nothing but refusals.

Finds a rate between two bounds, for providers whose answers name no numbers. Pure arithmetic on
instants; knows no bucket and no requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class SearchTuning:
    """
    What can be tuned of the search.

    Args:
        longest_gap_seconds: Seconds between the first two refusals above which they have nothing
            to do with each other.
        least_requests: Requests like the refused one admitted between two refusals below which
            these tell nothing: an outage, not a limit.
        widest_ratio: The upper bound over the lower, at most: what a bucket can have run over in
            a pause of a second or two.
        shortest_climb_seconds: Seconds in which the rate goes from the lower bound to the upper,
            at least.
        slow_climb_share_per_second: Share by which the rate is raised each second beyond that,
            to find out when a limit has been lifted.
        lifted_after_seconds: Seconds without a refusal after which the limit counts as lifted.
        doubling_seconds: Seconds in which the rate doubles then, again and again.
    """

    longest_gap_seconds: float = 120.0
    least_requests: float = 10.0
    widest_ratio: float = 1.2
    shortest_climb_seconds: float = 10.0
    slow_climb_share_per_second: float = 0.0005
    lifted_after_seconds: float = 60.0
    doubling_seconds: float = 30.0


_TUNING = SearchTuning()


#: Doublings after which a rate is as good as infinite; one more might overflow.
_MOST_DOUBLINGS = 64.0


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: float
    high: float
    since: float
    span: float

    def rate(self, now: float, tuning: SearchTuning) -> float:
        """Return the rate to try at *now*: from *low* to *high* in *span* seconds, then beyond."""
        elapsed = max(0.0, now - self.since)
        calm = tuning.lifted_after_seconds
        rate = self.low + (self.high - self.low) * min(1.0, elapsed / self.span)
        rate *= 1 + tuning.slow_climb_share_per_second * min(elapsed, calm)
        if elapsed > calm:
            rate *= 2.0 ** min(_MOST_DOUBLINGS, (elapsed - calm) / tuning.doubling_seconds)
        return rate


class RateSearch:
    """
    A rate in units per second, learned from the instants of refusals.

    At a refusal the provider's bucket is empty. Between two refusals it gave what flowed in: at
    least low = admitted / whole time (if it did not run over during our pause), at most
    high = admitted / time in which we sent. The longer the stretch, the closer the two. The rate
    climbs from low to high, then slowly on, and doubles again and again once no refusal comes.
    """

    __slots__ = ("_admitted", "_bounds", "_refused_at", "_resumed_at", "_tuning")

    def __init__(self, tuning: SearchTuning = _TUNING) -> None:
        self._bounds: _Bounds | None = None
        self._refused_at = -math.inf
        self._resumed_at = -math.inf
        self._admitted = 0.0
        self._tuning = tuning

    def on_refusal(self, now: float, *, amount: float, admitted: float, resumes_at: float) -> None:
        """
        Learn from the first refusal of an episode.

        Args:
            now: When, in seconds of the caller's clock.
            amount: What the refused request asked for.
            admitted: What the provider has admitted in all so far.
            resumes_at: When we shall send again.
        """
        tuning = self._tuning
        gained, stretch = admitted - self._admitted, now - self._refused_at
        known, is_telling = self._bounds, gained >= tuning.least_requests * amount
        is_near = stretch <= tuning.longest_gap_seconds
        if is_telling and (is_near or (known is not None and stretch < math.inf)):
            low = gained / stretch
            sending = max(now - self._resumed_at, stretch / 10)
            high = min(tuning.widest_ratio * low, gained / sending)
            if known is not None:
                high = max(low, min(high, known.rate(now, tuning)))
            span = max(tuning.shortest_climb_seconds, 2 * stretch)
            self._bounds = _Bounds(low, high, resumes_at, span)
        elif known is not None:
            self._bounds = replace(known, since=resumes_at)
        if is_telling or self._refused_at == -math.inf:
            self._refused_at, self._resumed_at = now, resumes_at
            self._admitted = admitted

    def seed(self, per_second: float, now: float) -> None:
        """Start from *per_second*, which a refusal named and which may be lifted unsaid."""
        self._bounds = _Bounds(per_second, per_second, now, self._tuning.shortest_climb_seconds)

    def rate(self, now: float) -> float:
        """Return what may be spent a second; infinite while nothing has been learned."""
        return math.inf if self._bounds is None else self._bounds.rate(now, self._tuning)

    @property
    def is_set(self) -> bool:
        """Whether anything has been learned."""
        return self._bounds is not None

    def forget(self) -> None:
        """Drop what was learned: the limit has been lifted."""
        self._bounds = None
        self._refused_at = -math.inf
