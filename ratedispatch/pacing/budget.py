"""
The one line that stands before all buckets.

Decides when the head of the line may go: when every bucket can pay and there is room in flight.
Knows nothing of HTTP, files or providers.

Why one line: many tasks that wait on two limiters in turn are not atomic (the first is spent
while the second is waited for), and a limiter that wakes the smallest amount first starves the
large requests. Here only the head of the line waits, all buckets are debited together, and a
request that comes back for another attempt has its old place.
"""

from __future__ import annotations

import asyncio
import functools
import math
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from ratedispatch.errors import CostExceedsLimit
from ratedispatch.limits import STANDARD
from ratedispatch.pacing import bottleneck
from ratedispatch.pacing.bottleneck import Books
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.cooldown import Pauses
from ratedispatch.pacing.limit.tracked import Mirror, Sighting
from ratedispatch.pacing.queue import Line
from ratedispatch.pacing.snapshot import Level, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ratedispatch.limits import Limits, Rate, Reading
    from ratedispatch.outcome import Usage
    from ratedispatch.pacing.concurrency.adaptive import Sent
    from ratedispatch.pacing.concurrency.slots import Slots
    from ratedispatch.request import Cost

#: Requests that left within this many seconds may reach the provider in another order: while more
#: are in flight than ever before, each has to open its connection first; later they overtake one
#: another on the way only.
_REORDERING = 1.0
_JITTER = 0.03

#: While the line ramps up after a pause its speed is set anew at least this often, in seconds.
_RAMP_STEP = 0.02

#: What a wait was computed from may have changed after this many seconds: limits that are being
#: learned rise with time.
_LONGEST_WAIT = 1.0

#: What an answer used of what a dimension limits, where answers tell.
_USED_BY: Mapping[str, Callable[[Usage], int]] = {
    "tokens": attrgetter("tokens"),
    "tokens_per_day": attrgetter("tokens"),
    "input_tokens": attrgetter("prompt_tokens"),
    "input_tokens_per_day": attrgetter("prompt_tokens"),
    "output_tokens": attrgetter("output_tokens"),
    "output_tokens_per_day": attrgetter("output_tokens"),
}


class Permit:
    """
    The right to send one attempt, paid for. Settled or cancelled exactly once.

    Attributes:
        cost: What was debited.
        granted_at: Loop time in seconds.
        waited: Seconds it stood in the line.
    """

    __slots__ = (
        "_amounts",
        "_marks",
        "_number",
        "_token",
        "cost",
        "granted_at",
        "waited",
    )

    def __init__(
        self,
        cost: Cost,
        granted_at: float,
        waited: float,
        amounts: tuple[float, ...],
        marks: list[tuple[float, float]],
        number: int,
        token: Sent | None,
    ) -> None:
        self.cost = cost
        self.granted_at = granted_at
        self.waited = waited
        self._amounts = amounts  # what was debited in each dimension
        # what had been charged in each dimension, this permit included, and what of it returned
        self._marks = marks
        self._number = number
        self._token = token  # of the adaptive bound, if there is one


class Budget(Protocol):
    """What the dispatcher needs of a budget; one shared between processes will do the same."""

    def check(self, cost: Cost, item: str) -> None:
        """Raise :class:`CostExceedsLimit` if *cost* can never be granted to *item*."""

    async def acquire(self, cost: Cost, place: int) -> Permit:
        """Wait for the turn of *place* and for every bucket; return a paid permit."""

    def settle(self, permit: Permit, usage: Usage | None, *, answered: bool = False) -> None:
        """
        Close *permit*: its attempt has ended, and used *usage* if that is known.

        *answered* tells whether the time it took is that of a real answer.
        """

    def cancel(self, permit: Permit) -> None:
        """Close *permit* unused: nothing was sent, everything is given back."""

    def observe(
        self, permit: Permit, readings: Iterable[Reading], *, refused: bool = False
    ) -> None:
        """Correct the buckets by what the answer to *permit*, or its refusal, says."""

    def throttle(self, permit: Permit, delay: float, about: tuple[str, ...] = STANDARD) -> bool:
        """
        Pause the line for *delay* seconds unless the refusal of *permit* is old news.

        *about* is what the names of the limits begin with that may have refused.
        """

    def bound(self, max_in_flight: int) -> None:
        """Let so many be in flight from now on, instead of finding out how many."""

    def crowd(self, permit: Permit) -> None:
        """Send fewer at once: the server had no room for *permit*."""

    def calm_down(self) -> None:
        """Go on more slowly: the server cannot take the load."""

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


class LocalBudget:
    """
    The budget of one process: buckets, a bound on what is in flight, and the line.

    Belongs to one event loop. Not thread-safe.

    Args:
        limits: The limits of the account.
        max_in_flight: The most attempts that may be unanswered at once, or what finds it.
        refund: Whether the provider gives back what a request did not use.
        slots: Places in flight that it shares with other budgets.
        group: The group of models that it limits, for snapshots.
        on_change: Called with each rate that has changed by what the provider says.
        on_dry: Called when the head of the line would have to wait for a day's limit, with
            that limit and the seconds.
    """

    def __init__(
        self,
        limits: Limits,
        max_in_flight: int | AdaptiveLimit,
        *,
        refund: bool = False,
        slots: Slots | None = None,
        group: str = "",
        on_change: Callable[[Rate], None] | None = None,
        on_dry: Callable[[Rate, float], None] | None = None,
    ) -> None:
        self._mirrors = [Mirror(rate, limits.burst_of, settles=refund) for rate in limits.rates()]
        # whatever becomes of a limit, what it limits stays
        self._dimensions = tuple(mirror.rate.dimension for mirror in self._mirrors)
        self._used_by = tuple(
            (index, _USED_BY[name])
            for index, name in enumerate(self._dimensions)
            if name in _USED_BY
        )
        self._adaptive: AdaptiveLimit | None = None
        if isinstance(max_in_flight, AdaptiveLimit):
            self._adaptive = max_in_flight
            self._bound = max_in_flight.limit
        else:
            self._bound = max_in_flight
        self._slots = slots
        self._group = group
        self._on_change = on_change
        self._on_dry = on_dry
        self._permits: dict[Permit, None] = {}  # in flight, in the order of their grants
        self._line: Line[Permit] = Line()
        self._granted = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._releases: int | None = None  # None: no hold
        self._closed: Callable[[], BaseException] | None = None
        self._pauses = Pauses()
        self._books = Books(self._granted_amounts)
        self._was_full = False  # since the last grant
        self._peak = 0  # in flight
        self._widened_at = 0.0
        self._has_begun = False
        self._is_resuming = False

    def check(self, cost: Cost, item: str) -> None:
        """Raise :class:`CostExceedsLimit` if *cost* is above a whole minute (or day) of a limit."""
        for mirror, dimension in zip(self._mirrors, self._dimensions, strict=True):
            most = mirror.most
            amount = cost.amount(dimension)
            if amount > most >= 0 and amount > 1:  # one request always goes, in its time
                raise CostExceedsLimit(item, dimension, amount, most)

    async def acquire(self, cost: Cost, place: int) -> Permit:
        """
        Wait for the turn of *place* and for every bucket; return a paid permit.

        Lower places go first. Cancelling leaves the line and spends nothing.

        Raises:
            BaseException: what the line was closed with.
        """
        if self._closed is not None:
            raise self._closed()
        loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        amounts = tuple([cost.amount(dimension) for dimension in self._dimensions])
        wait, cause = 0.0, bottleneck.NOTHING
        was_empty = not self._line
        if was_empty:  # whoever may go at once need not stand in it
            wait, cause = self._wait(amounts, now)
            if wait == 0:
                permit = self._grant(cost, amounts, now, 0.0)
                self._books.hold(bottleneck.NOTHING, now, has_granted=True)
                return permit
        future: asyncio.Future[Permit] = loop.create_future()
        who = self._line.join(place, cost, amounts, now, future)
        if was_empty:
            self._stall(wait, cause, now, has_granted=False)
        elif self._line.head() is who:  # nobody behind the head can change who goes next
            self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._line.leave()
                self._pump()
            elif future.exception() is None:
                self.cancel(future.result())  # granted in the very turn it was cancelled
            raise

    def settle(self, permit: Permit, usage: Usage | None, *, answered: bool = False) -> None:
        """Close *permit*; give back unused tokens where the provider does, and wake the line."""
        self._close_permit(permit)
        if self._adaptive is not None and permit._token is not None and answered:
            self._adaptive.ended(permit._token, self._now())
        if usage is not None:
            for index, used_by in self._used_by:
                self._mirrors[index].settle(permit._amounts[index] - used_by(usage))
        self._pump()

    def cancel(self, permit: Permit) -> None:
        """Close *permit* unused: nothing was sent, everything is given back."""
        self._close_permit(permit)
        for mirror, amount in zip(self._mirrors, permit._amounts, strict=True):
            mirror.give(amount)
        self._pump()

    def observe(
        self, permit: Permit, readings: Iterable[Reading], *, refused: bool = False
    ) -> None:
        """Correct the buckets by what the answer to *permit*, or its refusal, says."""
        found = {reading.bucket: reading for reading in readings}
        for index, (mirror, dimension) in enumerate(
            zip(self._mirrors, self._dimensions, strict=True)
        ):
            if not refused and dimension not in found:
                mirror.overhear(permit.granted_at)
                continue
            charged, returned = permit._marks[index]
            seen = Sighting(
                permit.granted_at,
                permit._number,
                charged,
                returned,
                permit._amounts[index],
                functools.partial(self._overtaken, permit, dimension),
                refused,
            )
            if not refused:
                mirror.confirm(permit.granted_at)
            if mirror.observe(found.get(dimension), seen) and self._on_change is not None:
                self._on_change(mirror.rate)
        self._pump()

    def throttle(self, permit: Permit, delay: float, about: tuple[str, ...] = STANDARD) -> bool:
        """
        Pause the line for *delay* seconds, and let it start again gently.

        A refusal of something that was sent before the running pause began belongs to the same
        episode and changes nothing, except that it may ask to wait longer.

        Returns:
            Whether this refusal began a new episode.
        """
        now = self._now()
        pauses = self._pauses
        is_new = pauses.begin(now, delay, permit.granted_at)
        self._is_resuming = True
        if is_new:
            for mirror, dimension, amount in zip(
                self._mirrors, self._dimensions, permit._amounts, strict=True
            ):
                # a refusal about the minute says nothing of the day
                if dimension in about or (dimension.startswith(about) and not mirror.rate.is_daily):
                    before = mirror.rate.per_minute
                    mirror.refuse(now, amount=amount, resumes_at=pauses.until)
                    if mirror.rate.per_minute != before and self._on_change is not None:
                        self._on_change(mirror.rate)
        self._pump()
        return is_new

    def bound(self, max_in_flight: int) -> None:
        """Let so many be in flight from now on, instead of finding out how many."""
        self._bound, self._adaptive = max_in_flight, None
        self._pump()

    def crowd(self, permit: Permit) -> None:
        """Send fewer at once: the server had no room for *permit*."""
        now = self._now()
        if self._adaptive is None:
            start = max(1, min(self._bound, len(self._permits)))
            self._adaptive = AdaptiveLimit(start=start, most=self._bound)
            permit._token = self._adaptive.sent(now, start, True)
        if permit._token is not None:
            self._adaptive.dropped(permit._token)
            permit._token = None

    def calm_down(self) -> None:
        """Go on more slowly: the server cannot take the load."""
        now = self._now()
        shares = [self._share(index, mirror, now) for index, mirror in enumerate(self._mirrors)]
        until = self._pauses.calm_down(now, max(shares, default=1.0))
        for mirror in self._mirrors:
            mirror.keep_to_rate(until)
        self._pump()

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
        for who in self._line.clear():
            who.future.set_exception(error())

    def snapshot(self) -> Snapshot:
        """Return the state of the line and its buckets."""
        now = self._now()
        levels = tuple(
            Level(
                mirror.rate.dimension,
                mirror.rate.per_minute if mirror.is_known else math.inf,
                mirror.bucket.available,
                mirror.spent,
                self._share(index, mirror, now),
                mirror.used,
                mirror.others * 60,
                self._group,
                mirror.rate.limit if mirror.is_known else math.inf,
            )
            for index, mirror in enumerate(self._mirrors)
        )
        return Snapshot(
            len(self._permits),
            self._most_in_flight,
            len(self._line),
            max(0.0, self._pauses.until - now),
            levels,
            self._books.binding(now),
            dict(self._books.totals),
        )

    @property
    def _most_in_flight(self) -> int:
        return self._bound if self._adaptive is None else self._adaptive.limit

    def _share(self, index: int, mirror: Mirror, now: float) -> float:
        return self._books.per_second(index, now) / mirror.rate.per_second

    def _granted_amounts(self) -> list[float]:
        """What was granted of each limit since the start, taken back or not."""
        return [mirror.spent + mirror.given_back for mirror in self._mirrors]

    def _pump(self) -> None:
        """Grant to the head of the line as long as it can pay; then set one timer for it."""
        now = self._now()
        wait, cause = 0.0, bottleneck.NOTHING
        has_granted = False
        while (head := self._line.head()) is not None:
            wait, cause = self._wait(head.amounts, now)
            if wait > 0:
                break
            self._line.pop()
            head.future.set_result(self._grant(head.cost, head.amounts, now, now - head.since))
            has_granted = True
            cause = bottleneck.NOTHING
        self._stall(wait, cause, now, has_granted=has_granted)

    def _stall(self, wait: float, cause: str, now: float, *, has_granted: bool) -> None:
        """Note why the head of the line does not go, and look again after *wait* seconds."""
        self._cancel_timer()
        if 0 < wait < math.inf:
            # a wait may be shorter than the clock can tell, and must not be over before it began
            when = max(now + wait, math.nextafter(now, math.inf))
            self._timer = asyncio.get_running_loop().call_at(when, self._on_timer)
        self._books.hold(cause, now, has_granted=has_granted)

    def _wait(self, amounts: tuple[float, ...], now: float) -> tuple[float, str]:
        """
        Seconds until the head of the line may go, as far as can be told now, and why.

        Infinite while it waits for something that will pump again: a permit that is closed, a
        place in flight, a release.
        """
        if self._releases == 0:
            return math.inf, bottleneck.HOLD
        if len(self._permits) >= self._most_in_flight or (
            self._slots is not None and not self._slots.is_free(self._pump)
        ):
            self._was_full = True
            return math.inf, bottleneck.IN_FLIGHT
        pauses = self._pauses
        if now < pauses.until:
            return pauses.until - now, bottleneck.PAUSE
        if not self._has_begun:
            self._has_begun = True
            for mirror, amount in zip(self._mirrors, amounts, strict=True):
                mirror.begin(now, amount)
        if self._is_resuming:
            self._is_resuming = False
            for mirror, amount in zip(self._mirrors, amounts, strict=True):
                mirror.resume(amount)
        speed = pauses.speed(now)
        longest, cause = 0.0, bottleneck.NOTHING
        for index, mirror in enumerate(self._mirrors):
            wait = mirror.wait(amounts[index], now, speed)
            if wait > longest:
                rate = mirror.rate
                longest, cause = wait, rate.dimension
                if rate.is_daily and self._on_dry is not None:
                    # not at once: whoever stops the line for it changes what is being walked
                    asyncio.get_running_loop().call_soon(self._on_dry, rate, wait)
        if longest > 0 and speed < 1:
            return min(longest, _RAMP_STEP), bottleneck.PAUSE if pauses.is_ramping(now) else cause
        return min(longest, _LONGEST_WAIT), cause

    def _overtaken(self, permit: Permit, dimension: str) -> float:
        """What may have been charged after *permit* though it left shortly before."""
        amount = 0.0
        is_widening = permit.granted_at - self._widened_at < _REORDERING
        earliest = permit.granted_at - (_REORDERING if is_widening else _JITTER)
        for other in self._permits:
            if other is permit:
                break
            if other.granted_at >= earliest:
                amount += other.cost.amount(dimension)
        return amount

    def _grant(self, cost: Cost, amounts: tuple[float, ...], now: float, waited: float) -> Permit:
        marks = [mirror.spend(amounts[index], now) for index, mirror in enumerate(self._mirrors)]
        self._granted += 1
        if self._releases is not None:
            self._releases -= 1
        token = None
        if self._adaptive is not None:
            # a source that hands over one request at a time has waited, and stands in line no more
            is_full = self._was_full or bool(self._line)
            token = self._adaptive.sent(now, len(self._permits) + 1, is_full)
            self._was_full = False
        permit = Permit(cost, now, waited, amounts, marks, self._granted, token)
        permits = self._permits
        permits[permit] = None
        if self._slots is not None:
            self._slots.take()
        if len(permits) > self._peak:
            self._peak, self._widened_at = len(permits), now
        return permit

    def _close_permit(self, permit: Permit) -> None:
        if permit not in self._permits:
            raise RuntimeError("a permit is settled or cancelled exactly once")
        del self._permits[permit]
        if self._slots is not None:
            self._slots.give()

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> float:
        # asking for the running loop is a system call each time
        return (self._loop or asyncio.get_running_loop()).time()
