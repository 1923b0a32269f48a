"""
One bucket on aiolimiter.

Decides the level, the wait, and what debit and credit do to one dimension. Knows nothing of
requests, providers or the line that stands before it.

``aiolimiter.AsyncLimiter`` is a leaky bucket used as a meter: its level rises by what is spent
and leaks at the rate. It has no public way to ask for the time until an amount fits, to go into
debt, to give something back, or to change the rate, so this module, and only this module, uses
its private level. The dependency is pinned below the next minor version, and a contract test
holds the behaviour that is relied on.
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

    All methods need a running event loop, whose ``time()`` is the clock.

    Args:
        rate: How fast it refills and how much it holds.
    """

    __slots__ = ("_ceiling", "_limiter", "_speed", "_surplus", "rate")

    rate: Rate
    """The rate and the burst as set; changed by `set_rate`."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._speed = 1.0
        self._limiter = AsyncLimiter(rate.burst, rate.burst / rate.per_second)
        self._surplus = 0.0
        self._ceiling = 0.0

    @property
    def available(self) -> float:
        """What may be spent now; below zero while in debt."""
        self._leak()
        return self._limiter.max_rate - self._limiter._level + self._surplus

    def wait(self, amount: float) -> float:
        """
        Return the seconds until *amount* may be spent; 0.0 if it may now.

        An amount larger than the burst may be spent when the bucket is full; it drives the
        bucket into debt, so that the rate is kept over time. But where the provider's bucket is
        known to hold as much, what piles up there may have been spent already, so it is saved
        up for in full. Nothing is reserved: call :meth:`take` in the same turn of the loop.
        """
        limiter, burst = self._limiter, self.rate.burst
        depth = amount if burst < amount <= self._ceiling else burst
        if limiter.max_rate != depth:
            self._set_depth(depth)
        if self._surplus > 0:
            self._leak()
        else:
            limiter._leak()
        missing = min(amount, depth) - (depth - limiter._level + self._surplus)
        if missing <= depth * _ROUNDING:
            return 0.0
        return missing / limiter._rate_per_sec

    def take(self, amount: float) -> float:
        """
        Spend *amount* in the turn of the loop in which `wait` was 0.0 for it.

        Returns:
            What was missing before for it to be full.
        """
        limiter, burst = self._limiter, self.rate.burst
        if self._surplus > 0:
            missing = burst - self.available
            self.debit(amount)
            return missing
        missing = burst - limiter.max_rate + limiter._level
        limiter._level += amount
        if limiter.max_rate != burst:
            self._set_depth(burst)
        return missing

    def debit(self, amount: float) -> None:
        """Spend *amount*, into debt if need be. The surplus pays what the bucket cannot."""
        self._leak()
        lacking = amount - (self._limiter.max_rate - self._limiter._level)
        from_surplus = min(self._surplus, max(0.0, lacking))
        self._surplus -= from_surplus
        self._limiter._level += amount - from_surplus
        self._set_depth(self.rate.burst)

    def credit(self, amount: float) -> None:
        """Give *amount* back, at most until the bucket is full."""
        self._limiter._leak()
        self._limiter._level = max(0.0, self._limiter._level - amount)

    def lower_to(self, available: float) -> None:
        """See to it that no more than *available* may be spent now."""
        excess = self.available - available
        if excess > 0:
            from_surplus = min(self._surplus, excess)
            self._surplus -= from_surplus
            self._limiter._level += excess - from_surplus

    def raise_to(self, available: float, ceiling: float) -> None:
        """
        Allow *available* to be spent now, if that is more than the bucket holds.

        This is how budget that has piled up at the provider is used. Unlike a deeper burst it
        does not come back after idleness: what flows in from now on adds up to *ceiling* at
        most (or to the burst), which is what the provider's own bucket has been proven to hold.
        """
        lacking = available - self.available
        if lacking > 0:
            self._surplus += lacking
            self._ceiling = max(self._ceiling, ceiling)

    def forget_surplus(self) -> None:
        """Allow no more than what flows in and the burst."""
        self._surplus = 0.0

    def set_speed(self, speed: float) -> None:
        """Let *speed* times the rate flow in from now on, 0 < *speed*; 1 is the rate itself."""
        if speed == self._speed:
            return
        self._limiter._leak()  # what has flowed in so far did so at the old speed
        self._speed = speed
        self._limiter._rate_per_sec = self.rate.per_second * speed

    def set_rate(self, rate: Rate) -> None:
        """Take *rate* from now on; what has been spent stays spent."""
        self._limiter._leak()
        self.rate = rate
        self._set_depth(rate.burst)
        self._limiter._rate_per_sec = rate.per_second * self._speed

    def _leak(self) -> None:
        limiter = self._limiter
        limiter._leak()
        if self._surplus > 0:
            total = limiter.max_rate - limiter._level + self._surplus
            excess = total - max(limiter.max_rate, self._ceiling)
            if excess > 0:
                self._surplus = max(0.0, self._surplus - excess)

    def _set_depth(self, depth: float) -> None:
        """Let the bucket hold *depth*, without a change to what may be spent now."""
        limiter = self._limiter
        if limiter.max_rate != depth:
            limiter._leak()
            limiter._level = max(0.0, limiter._level + depth - limiter.max_rate)
            limiter.max_rate = depth
