"""
The one line that stands before all buckets.

Decides who goes next, when every bucket can pay and there is room in flight. Knows nothing of
HTTP, files or providers.

Why one line: many tasks that wait on two limiters in turn are not atomic (the first is spent
while the second is waited for), and a limiter that wakes the smallest amount first starves the
large requests. Here only the head of the line waits, all buckets are debited together, and a
request that comes back for another attempt has its old place.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ratedispatch.buckets import Bucket
from ratedispatch.errors import CostExceedsLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ratedispatch.limits import Limits, Reading
    from ratedispatch.request import Cost

#: Requests that left within this many seconds may reach the provider in another order, above all
#: at the start, when each has to open its connection first.
_REORDERING = 1.0

#: Seconds of rate that are left in the provider's bucket however much it is proven to hold:
#: requests that leave our machine apart may arrive together.
_RESERVE = 0.25

#: While the line ramps up after a pause its speed is set anew at least this often, in seconds.
_RAMP_STEP = 0.02

#: The ramp after a pause starts at this share of the rate and lasts as long as the pause,
#: within these bounds in seconds.
_RAMP_START = 0.1
_RAMP_LONGEST = 5.0

#: Seconds after a refusal during which no header is believed to prove budget beyond the burst.
_DISTRUST = 60.0


@dataclass(frozen=True, slots=True)
class Level:
    """
    One bucket at one instant.

    Args:
        dimension: ``requests`` or ``tokens``.
        per_minute: The limit.
        available: What may be spent now; below zero while in debt.
        spent: What was spent since the start.
    """

    dimension: str
    per_minute: float
    available: float
    spent: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    The line at one instant.

    Args:
        in_flight: Requests sent and not answered.
        max_in_flight: The most that may be.
        waiting: Requests in the line.
        paused: Seconds for which the line still pauses.
        levels: One for each bucket.
    """

    in_flight: int
    max_in_flight: int
    waiting: int
    paused: float
    levels: tuple[Level, ...]


class Permit:
    """
    The right to send one attempt, paid for. Settled or cancelled exactly once.

    Attributes:
        cost: What was debited.
        granted_at: Loop time in seconds.
        waited: Seconds it stood in the line.
    """

    __slots__ = ("_marks", "cost", "granted_at", "waited")

    def __init__(
        self, cost: Cost, granted_at: float, waited: float, marks: tuple[float, ...]
    ) -> None:
        self.cost = cost
        self.granted_at = granted_at
        self.waited = waited
        self._marks = marks  # what had been spent in each dimension, this permit included


class Budget(Protocol):
    """What the dispatcher needs of a budget; one shared between processes will do the same."""

    def check(self, cost: Cost, item: str) -> None:
        """Raise :class:`CostExceedsLimit` if *cost* can never be granted to *item*."""

    async def acquire(self, cost: Cost, place: int) -> Permit:
        """Wait for the turn of *place* and for every bucket; return a paid permit."""

    def settle(self, permit: Permit, actual_tokens: int | None) -> None:
        """Close *permit*: its attempt has ended, and used *actual_tokens* if that is known."""

    def cancel(self, permit: Permit) -> None:
        """Close *permit* unused: nothing was sent, everything is given back."""

    def observe(self, permit: Permit, readings: Iterable[Reading]) -> None:
        """Correct the buckets by what the answer to *permit* says."""

    def throttle(self, permit: Permit, delay: float) -> bool:
        """Pause the line for *delay* seconds unless the refusal of *permit* is old news."""

    def hold(self) -> None:
        """Grant nothing until :meth:`release`."""

    def release(self, permits: int | None = None) -> None:
        """Grant again: *permits* of them and then hold, or without end."""

    def close(self, error: Callable[[], BaseException]) -> None:
        """
        Refuse everybody in the line, and everybody who comes, with what *error* returns.

        A new exception for each, because a shared one collects every waiter's traceback.
        """

    def snapshot(self) -> Snapshot:
        """Return the state of the line and its buckets."""


@dataclass(slots=True)
class _Ramp:
    """How the line starts again after a pause."""

    start: float
    length: float
    begun: bool = False

    def speed(self, now: float) -> float:
        """The share of the rate at *now*, rising to 1."""
        if now >= self.start + self.length:
            return 1.0
        return _RAMP_START + (1 - _RAMP_START) * (now - self.start) / self.length


@dataclass(slots=True)
class _SlowStart:
    """
    How much of a piled-up budget is spent in one round trip: twice as much as in the last.

    As TCP does (RFC 5681, slow start), because a header may promise what the server does not
    keep: one that enforces its limit over a second may report what is left of the minute.
    """

    step: float
    not_before: float

    def allows(self, granted_at: float) -> bool:
        """Whether the answer to what was sent at *granted_at* may raise the surplus."""
        return granted_at >= self.not_before

    def advance(self, now: float) -> None:
        """The next raise needs an answer to something sent after *now*."""
        self.not_before = now
        self.step *= 2


class LocalBudget:
    """
    The budget of one process: buckets, a bound on what is in flight, and the line.

    Belongs to one event loop. Not thread-safe.

    Args:
        limits: The limits of the account.
        max_in_flight: The most attempts that may be unanswered at once.
        refund: Whether the provider gives back what a request did not use.
    """

    def __init__(self, limits: Limits, max_in_flight: int, *, refund: bool = False) -> None:
        self._buckets = [Bucket(rate) for rate in limits.rates()]
        self._spent = [0.0] * len(self._buckets)
        self._refund = refund
        self._max_in_flight = max_in_flight
        self._permits: dict[Permit, None] = {}  # in flight, in the order of their grants
        self._line: list[tuple[int, int, Cost, float, asyncio.Future[Permit]]] = []
        self._arrivals = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._releases: int | None = None  # None: no hold
        self._closed: Callable[[], BaseException] | None = None
        self._paused_until = 0.0
        self._paused_at = -1.0
        self._ramp: _Ramp | None = None
        self._newest_reading = [-1.0] * len(self._buckets)
        self._slow_start = [_SlowStart(bucket.rate.burst, 0.0) for bucket in self._buckets]

    def check(self, cost: Cost, item: str) -> None:
        """Raise :class:`CostExceedsLimit` if *cost* is above a whole minute of a limit."""
        for bucket in self._buckets:
            rate = bucket.rate
            amount = cost.amount(rate.dimension)
            if amount > max(rate.per_minute, rate.burst):  # one request always goes, in its time
                raise CostExceedsLimit(item, rate.dimension, amount, rate.per_minute)

    async def acquire(self, cost: Cost, place: int) -> Permit:
        """
        Wait for the turn of *place* and for every bucket; return a paid permit.

        Lower places go first. Cancelling leaves the line and spends nothing.

        Raises:
            BaseException: what the line was closed with.
        """
        if self._closed is not None:
            raise self._closed()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Permit] = loop.create_future()
        entry = (place, next(self._arrivals), cost, loop.time(), future)
        heapq.heappush(self._line, entry)
        if self._line[0] is entry:  # nobody behind the head can change who goes next
            self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.cancel(future.result())  # granted in the very turn it was cancelled
            else:
                self._pump()
            raise

    def settle(self, permit: Permit, actual_tokens: int | None) -> None:
        """Close *permit*; give back unused tokens where the provider does, and wake the line."""
        self._close_permit(permit)
        if self._refund and actual_tokens is not None:
            for bucket in self._buckets:
                if bucket.rate.dimension == "tokens":
                    unused = permit.cost.tokens - actual_tokens
                    bucket.credit(unused) if unused >= 0 else bucket.debit(-unused)
        self._pump()

    def cancel(self, permit: Permit) -> None:
        """Close *permit* unused: nothing was sent, everything is given back."""
        self._close_permit(permit)
        for index, bucket in enumerate(self._buckets):
            amount = permit.cost.amount(bucket.rate.dimension)
            bucket.credit(amount)
            self._spent[index] -= amount
        self._pump()

    def observe(self, permit: Permit, readings: Iterable[Reading]) -> None:
        """
        Correct the buckets by what the answer to *permit* says.

        The reading is as old as the answer took. Since then the bucket has refilled, and what
        was sent after that permit has been charged; what left just before it may have been
        charged after it. Down at once, to the best estimate; up only as far as the reading
        proves, and no faster than doubling with every answer, because a server that enforces
        its limit over seconds may still report it over a minute.
        """
        loop = asyncio.get_running_loop()
        age = loop.time() - permit.granted_at
        by_dimension = {reading.dimension: reading for reading in readings}
        for index, bucket in enumerate(self._buckets):
            reading = by_dimension.get(bucket.rate.dimension)
            if reading is None or reading.is_daily or reading.remaining is None:
                continue
            if permit.granted_at < self._newest_reading[index]:  # older news than we have
                continue
            self._newest_reading[index] = permit.granted_at
            since = self._spent[index] - permit._marks[index]
            estimate = reading.remaining + age * bucket.rate.per_second - since
            bucket.lower_to(max(0.0, estimate))
            slow_start = self._slow_start[index]
            if reading.proves_surplus and slow_start.allows(permit.granted_at):
                reserve = min(bucket.rate.burst, bucket.rate.per_second * _RESERVE)
                overtaken = self._overtaken(permit, bucket.rate.dimension)
                proven = reading.remaining - since - overtaken - reserve
                available = bucket.available
                if proven > available:
                    bucket.raise_to(min(proven, available + slow_start.step), proven)
                    slow_start.advance(loop.time())
        self._pump()

    def throttle(self, permit: Permit, delay: float) -> bool:
        """
        Pause the line for *delay* seconds, and let it start again gently.

        A refusal of something that was sent before the running pause began belongs to the same
        episode and changes nothing, except that it may ask to wait longer.

        Returns:
            Whether this refusal began a new episode.
        """
        now = asyncio.get_running_loop().time()
        is_new = permit.granted_at > self._paused_at
        if is_new:
            self._paused_at = now
            self._slow_start = [_SlowStart(b.rate.burst, now + _DISTRUST) for b in self._buckets]
        if is_new or now + delay > self._paused_until > now:
            self._paused_until = max(self._paused_until, now + delay)
            self._ramp = _Ramp(self._paused_until, min(_RAMP_LONGEST, delay))
            for bucket in self._buckets:
                bucket.forget_surplus()
        self._pump()
        return is_new

    def hold(self) -> None:
        """Grant nothing until :meth:`release`."""
        self._releases = 0

    def release(self, permits: int | None = None) -> None:
        """Grant again: *permits* of them and then hold, or without end."""
        self._releases = permits
        self._pump()

    def close(self, error: Callable[[], BaseException]) -> None:
        """Refuse everybody in the line, and everybody who comes, with what *error* returns."""
        self._closed = error
        self._cancel_timer()
        line, self._line = self._line, []
        for *_, future in line:
            if not future.done():
                future.set_exception(error())

    def snapshot(self) -> Snapshot:
        """Return the state of the line and its buckets."""
        now = asyncio.get_running_loop().time()
        levels = tuple(
            Level(bucket.rate.dimension, bucket.rate.per_minute, bucket.available, spent)
            for bucket, spent in zip(self._buckets, self._spent, strict=True)
        )
        paused = max(0.0, self._paused_until - now)
        return Snapshot(len(self._permits), self._max_in_flight, len(self._line), paused, levels)

    def _pump(self) -> None:
        """Grant to the head of the line as long as it can pay; then set one timer for it."""
        loop = asyncio.get_running_loop()
        self._cancel_timer()
        while self._line:
            _place, _, cost, arrived, future = self._line[0]
            if future.done():  # it left the line
                heapq.heappop(self._line)
                continue
            if len(self._permits) >= self._max_in_flight or self._releases == 0:
                return  # a permit that is closed, or a release, pumps again
            now = loop.time()
            wait = self._wait(cost, now)
            if wait > 0:
                self._timer = loop.call_at(now + wait, self._on_timer)
                return
            heapq.heappop(self._line)
            if self._releases is not None:
                self._releases -= 1
            future.set_result(self._grant(cost, now, now - arrived))

    def _wait(self, cost: Cost, now: float) -> float:
        """Seconds until the head of the line may go, as far as can be told now."""
        if now < self._paused_until:
            return self._paused_until - now
        longest = math.inf
        if self._ramp is not None:
            if not self._ramp.begun:  # what piled up during the pause is not ours to burst
                self._ramp.begun = True
                for bucket in self._buckets:
                    bucket.lower_to(cost.amount(bucket.rate.dimension))
            speed = self._ramp.speed(now)
            for bucket in self._buckets:
                bucket.set_speed(speed)
            if speed < 1:
                longest = _RAMP_STEP
            else:
                self._ramp = None
        waits = (bucket.wait(cost.amount(bucket.rate.dimension)) for bucket in self._buckets)
        return min(longest, max(waits, default=0.0))

    def _overtaken(self, permit: Permit, dimension: str) -> float:
        """What may have been charged after *permit* though it left shortly before."""
        amount = 0.0
        for other in self._permits:
            if other is permit:
                break
            if other.granted_at >= permit.granted_at - _REORDERING:
                amount += other.cost.amount(dimension)
        return amount

    def _grant(self, cost: Cost, now: float, waited: float) -> Permit:
        for index, bucket in enumerate(self._buckets):
            amount = cost.amount(bucket.rate.dimension)
            bucket.debit(amount)
            self._spent[index] += amount
        permit = Permit(cost, now, waited, tuple(self._spent))
        self._permits[permit] = None
        return permit

    def _close_permit(self, permit: Permit) -> None:
        if permit not in self._permits:
            raise RuntimeError("a permit is settled or cancelled exactly once")
        del self._permits[permit]

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
