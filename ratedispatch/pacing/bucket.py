"""
A token bucket for one dimension.

Computes how much may be spent now, and how long to wait for more. The caller passes the time, so a
bucket belongs to no event loop. Knows nothing of requests, providers or the queue in front of it.

``aiolimiter.AsyncLimiter`` is a leaky bucket used as a meter: its level rises by what is spent
and leaks at the rate. It has no public way to ask for the time until an amount fits, to go into
debt, to give something back, to change the rate, or to be told the time. So this module, and only
this module, uses its private level, and lets it leak by the limiter's own formula: the limiter
would ask its event loop twice for the time, which takes three times as long as the leak. The
dependency is pinned below the next minor version, and a contract test holds that both are alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiolimiter import AsyncLimiter

if TYPE_CHECKING:
    from ratedispatch.limits import Rate

#: A share of the burst by which rounding may miss: the loop's clock adds up differently than
#: the level leaks, and a timer that is early by a nanosecond must not start another one.
_ROUNDING = 1e-9


class Bucket:
    """
    The budget of one dimension, in its own unit (requests or tokens).

    available = burst − level + surplus, where the level rises by what is spent and leaks at
    speed × rate. *now* is in seconds of any clock that does not go back; an instant before the
    last one adds no refill.

    Args:
        rate: How fast it refills and how much it holds.

    Attributes:
        rate: The rate and the burst as set; changed by :meth:`set_rate`.
        per_second: The rate in units per second.
        speed: The multiple of the rate that flows in; changed by :meth:`set_speed`.
        is_corrected: Whether what it holds was set to what was found out, other than by spending
            and giving back. Who copies it clears this.
    """

    __slots__ = (
        "_ceiling",
        "_limiter",
        "_surplus",
        "is_corrected",
        "per_second",
        "rate",
        "speed",
    )

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.per_second = rate.per_second
        self.speed = 1.0
        self._limiter = AsyncLimiter(rate.burst, rate.burst / rate.per_second)
        self._surplus = 0.0
        self._ceiling = 0.0
        self.is_corrected = False

    @property
    def flow(self) -> float:
        """What flows in, in units per second, at the speed of now."""
        return self._limiter._rate_per_sec

    @property
    def surplus(self) -> float:
        """What may be spent beyond the burst's own."""
        return self._surplus

    @property
    def ceiling(self) -> float:
        """What it holds at most with surplus; 0 without any."""
        return self._ceiling

    def available(self, now: float) -> float:
        """Return what may be spent now; below zero while in debt."""
        self._leak(now)
        return self._limiter.max_rate - self._limiter._level + self._surplus

    def wait(self, amount: float, now: float) -> float:
        """
        Return the seconds until *amount* may be spent; 0.0 if it may now.

        An amount larger than the burst may be spent when the bucket is full; it drives the
        bucket into debt, so that the rate is kept over time. But where the provider's bucket is
        known to hold as much, what piles up there may have been spent already, so it is saved
        up for in full. Nothing is reserved: call :meth:`take` with the same *now*.
        """
        limiter, burst = self._limiter, self.rate.burst
        depth = amount if burst < amount <= self._ceiling else burst
        if limiter.max_rate != depth:
            self._set_depth(depth, now)
        elapsed = now - limiter._last_check
        if self._surplus > 0:
            self._leak(now)
        elif elapsed > 0:  # as in _drip, without the call: two of them are 2 % of an admission
            level = limiter._level - elapsed * limiter._rate_per_sec
            limiter._level = level if level > 0 else 0.0
            limiter._last_check = now
        asked = amount if amount < depth else depth  # noqa: FURB136  # min() is a call, too
        missing = asked - (depth - limiter._level + self._surplus)
        if missing <= depth * _ROUNDING:
            return 0.0
        return missing / limiter._rate_per_sec

    def take(self, amount: float, now: float) -> float:
        """
        Spend *amount* at the instant for which `wait` was 0.0.

        Returns:
            What was missing before for it to be full.
        """
        limiter, burst, surplus = self._limiter, self.rate.burst, self._surplus
        if now > limiter._last_check:
            self._leak(now)
        if surplus > 0:
            holds = limiter.max_rate - limiter._level
            missing = burst - (holds + surplus)
            from_surplus = min(surplus, max(0.0, amount - holds))
            self._surplus -= from_surplus
            limiter._level += amount - from_surplus
        else:
            missing = burst - limiter.max_rate + limiter._level
            limiter._level += amount
        if limiter.max_rate != burst:
            self._set_depth(burst, now)
        return missing

    def debit(self, amount: float, now: float) -> None:
        """Spend *amount*, into debt if need be. The surplus pays what the bucket cannot."""
        self._leak(now)
        lacking = amount - (self._limiter.max_rate - self._limiter._level)
        from_surplus = min(self._surplus, max(0.0, lacking))
        self._surplus -= from_surplus
        self._limiter._level += amount - from_surplus
        self._set_depth(self.rate.burst, now)

    def credit(self, amount: float, now: float) -> None:
        """Give *amount* back, at most until the bucket is full."""
        limiter = self._limiter
        if now > limiter._last_check:
            self._drip(now)
        level = limiter._level - amount
        limiter._level = level if level > 0 else 0.0

    def lower_to(self, available: float, now: float) -> float:
        """Allow at most *available* to be spent now; return what may be spent then."""
        limiter = self._limiter
        if self._surplus > 0:
            self._leak(now)
        elif now > limiter._last_check:
            self._drip(now)
        holds = limiter.max_rate - limiter._level + self._surplus
        excess = holds - available
        if excess <= 0:
            return holds
        from_surplus = min(self._surplus, excess)
        self._surplus -= from_surplus
        limiter._level += excess - from_surplus
        self.is_corrected = True
        return limiter.max_rate - limiter._level + self._surplus

    def raise_to(self, available: float, ceiling: float, now: float) -> None:
        """
        Allow *available* to be spent now, if that is more than the bucket holds.

        This is how budget that has piled up at the provider is used. Unlike a deeper burst it
        does not come back after idleness: what flows in from now on adds up to *ceiling* at
        most (or to the burst), which is what the provider's own bucket has been proven to hold.
        """
        self._leak(now)
        limiter = self._limiter
        lacking = available - (limiter.max_rate - limiter._level + self._surplus)
        if lacking > 0:
            self._surplus += lacking
            self._ceiling = max(self._ceiling, ceiling)
            self.is_corrected = True

    def forget_surplus(self) -> None:
        """Allow no more than what flows in and the burst."""
        self._surplus = 0.0
        self.is_corrected = True

    def owed(self, amount: float) -> float:
        """
        Return how far it may be in debt right after *amount*, which it need not save up for.

        As in :meth:`wait`: an amount above the burst may be spent when the bucket is full.
        """
        burst = self.rate.burst
        return 0.0 if amount <= burst or amount <= self._ceiling else amount - burst

    def put(self, available: float, surplus: float, ceiling: float, now: float) -> None:
        """Let it hold *available*, *surplus* of it beyond the burst, as a copy of it does."""
        limiter = self._limiter
        limiter.max_rate = self.rate.burst
        limiter._level = max(0.0, limiter.max_rate - available + surplus)
        limiter._last_check = now
        self._surplus, self._ceiling = surplus, ceiling

    def set_speed(self, speed: float, now: float) -> None:
        """Let *speed* times the rate flow in from now on, 0 < *speed*; 1 is the rate itself."""
        if speed == self.speed:
            return
        self._drip(now)  # what has flowed in so far did so at the old speed
        self.speed = speed
        self._limiter._rate_per_sec = self.per_second * speed

    def set_rate(self, rate: Rate, now: float) -> None:
        """Take *rate* from now on; what has been spent stays spent."""
        self._drip(now)
        self.rate = rate
        self.per_second = rate.per_second
        self._set_depth(rate.burst, now)
        self._limiter._rate_per_sec = self.per_second * self.speed

    def _drip(self, now: float) -> None:
        """Let the level leak up to *now*."""
        limiter = self._limiter
        elapsed = now - limiter._last_check
        if elapsed > 0:
            level = limiter._level - elapsed * limiter._rate_per_sec
            limiter._level = level if level > 0 else 0.0
            limiter._last_check = now

    def _leak(self, now: float) -> None:
        """Let the level leak up to *now*; what is above the ceiling then runs over."""
        self._drip(now)
        if self._surplus > 0:
            limiter = self._limiter
            total = limiter.max_rate - limiter._level + self._surplus
            excess = total - max(limiter.max_rate, self._ceiling)
            if excess > 0:
                self._surplus = max(0.0, self._surplus - excess)

    def _set_depth(self, depth: float, now: float) -> None:
        """Let the bucket hold *depth*, without a change to what may be spent now."""
        limiter = self._limiter
        if limiter.max_rate != depth:
            self._drip(now)
            limiter._level = max(0.0, limiter._level + depth - limiter.max_rate)
            limiter.max_rate = depth
