"""
What a limit must be, from nothing but refusals.

Decides a rate between two bounds, for providers whose answers name no numbers. Pure arithmetic
on instants; knows no bucket, no requests, no loop.

At a refusal the provider's bucket is empty. Between two refusals it gave what flowed in, at least
what was admitted over the whole time (if it did not run over during our pause), at most what was
admitted over the time in which we sent. The longer the stretch, the closer the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

#: Seconds between the first two refusals above which they have nothing to do with each other.
_LONGEST = 120.0

#: Requests like the refused one admitted between two refusals below which these tell nothing: an
#: outage, not a limit.
_LEAST = 10.0

#: Seconds in which the way from the lower bound to the upper is gone, at least, and the furthest
#: that the upper is looked for: what a bucket can have run over in a pause of a second or two.
_SHORTEST_CLIMB = 10.0
_WIDEST = 1.2

#: Share by which the rate is raised each second beyond that, to find out when a limit has been
#: lifted; after `_PATIENCE` seconds without a refusal it doubles every `_DOUBLING`.
_SLOWEST_CLIMB = 0.0005
_PATIENCE = 60.0
_DOUBLING = 30.0


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: float
    high: float
    since: float
    span: float = _SHORTEST_CLIMB

    def rate(self, now: float) -> float:
        elapsed = max(0.0, now - self.since)
        rate = self.low + (self.high - self.low) * min(1.0, elapsed / self.span)
        rate *= 1 + _SLOWEST_CLIMB * min(elapsed, _PATIENCE)
        if elapsed > _PATIENCE:
            rate *= 2.0 ** min(64.0, (elapsed - _PATIENCE) / _DOUBLING)
        return rate


class Bracket:
    """A rate in units per second, learned from the instants of refusals."""

    __slots__ = ("_admitted", "_bounds", "_refused_at", "_resumed_at")

    def __init__(self) -> None:
        self._bounds: _Bounds | None = None
        self._refused_at = -math.inf
        self._resumed_at = -math.inf
        self._admitted = 0.0

    def refuse(self, now: float, *, amount: float, admitted: float, resumes_at: float) -> None:
        """
        Take in the first refusal of an episode.

        Args:
            now: When, in seconds of the loop.
            amount: What the refused request asked for.
            admitted: What the provider has admitted in all so far.
            resumes_at: When we shall send again.
        """
        gained, stretch = admitted - self._admitted, now - self._refused_at
        known, is_telling = self._bounds, gained >= _LEAST * amount
        if is_telling and (stretch <= _LONGEST or (known is not None and stretch < math.inf)):
            low = gained / stretch
            high = min(_WIDEST * low, gained / max(now - self._resumed_at, stretch / 10))
            if known is not None:
                high = max(low, min(high, known.rate(now)))
            self._bounds = _Bounds(low, high, resumes_at, max(_SHORTEST_CLIMB, 2 * stretch))
        elif known is not None:
            self._bounds = replace(known, since=resumes_at)
        if is_telling or self._refused_at == -math.inf:
            self._refused_at, self._resumed_at = now, resumes_at
            self._admitted = admitted

    def suppose(self, per_second: float, now: float) -> None:
        """Take *per_second* from a refusal that names its limit, which may be lifted unsaid."""
        self._bounds = _Bounds(per_second, per_second, now)

    def rate(self, now: float) -> float:
        """Return what may be spent a second; infinite while nothing has been learned."""
        return math.inf if self._bounds is None else self._bounds.rate(now)

    @property
    def is_set(self) -> bool:
        """Whether anything has been learned."""
        return self._bounds is not None

    def forget(self) -> None:
        """Drop what was learned: the provider has begun to say its limit."""
        self._bounds = None
        self._refused_at = -math.inf
