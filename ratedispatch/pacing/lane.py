"""
A lane paces the requests of one account: its buckets, pauses, room in flight and gate.

An `Admission` is a queue in front of one lane, or of several. Decides whether a request can go
here now; which request that is, the queue decides. Knows no HTTP and no event loop. Everything
here happens under the lock of the queue that the lane stands behind, except where it says so.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING

from ratedispatch.pacing import bottleneck
from ratedispatch.pacing.bottleneck import BottleneckClock
from ratedispatch.pacing.brake import Brake
from ratedispatch.pacing.budget import NotUntil
from ratedispatch.pacing.permit import Permit
from ratedispatch.pacing.snapshot import Snapshot

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from ratedispatch.limits import Rate, Reading
    from ratedispatch.pacing.admission import Admission
    from ratedispatch.pacing.alarm import Watcher
    from ratedispatch.pacing.budget import Budget, Reservation
    from ratedispatch.pacing.concurrency.limit import ConcurrencyLimit
    from ratedispatch.pacing.concurrency.slots import Slots
    from ratedispatch.pacing.feedback import LimitChange
    from ratedispatch.request import Cost

#: While a lane ramps up after a pause its speed is set at least this often.
_RAMP_STEP_SECONDS = 0.02

#: A wait is computed again after at most this long: limits that are being learned rise with time.
_LONGEST_WAIT_SECONDS = 1.0


class Lane:
    """
    One account that requests are paid from.

    Args:
        budget: What may be spent.
        concurrency: How many may be in flight.
        rng: The source of jitter of pauses.
        name: What messages and figures call it.
        slots: Places in flight that it shares with other lanes.
        on_dry: Called soon after a request has to wait for a day's limit, with that limit and the
            seconds; None to wait in silence.
        watcher: Told when permits are closed, as long as it is watching.

    Attributes:
        on_dry: The argument of this name.
        queue: The queue in front of it; set when it is added to one.
        brake: Its pauses and its room in flight.
        bottleneck: What holds it back.
        in_flight: Attempts that were granted here and are not closed.
        on_turn: Called where turns differ, before the budget is asked, with the highest priority
            that waits; None where nobody wants to know.
    """

    __slots__ = (
        "_is_short_of_room",
        "_releases",
        "bottleneck",
        "brake",
        "budget",
        "in_flight",
        "name",
        "on_dry",
        "on_turn",
        "queue",
        "slots",
        "watcher",
    )

    queue: Admission

    def __init__(
        self,
        budget: Budget,
        concurrency: ConcurrencyLimit,
        *,
        rng: random.Random,
        name: str = "",
        slots: Slots | None = None,
        on_dry: Callable[[Rate, float], None] | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self.budget = budget
        self.name = name
        self.slots = slots
        self.watcher = watcher
        self.on_dry = on_dry
        self.on_turn: Callable[[int], None] | None = None
        self.bottleneck = BottleneckClock(budget.granted)
        self.brake = Brake(budget, self.bottleneck, concurrency, rng)
        self.in_flight = 0
        self._releases: int | None = None  # permits until the gate shuts; None: it is open
        self._is_short_of_room = False  # what held it back last was room in flight

    def __repr__(self) -> str:
        return f"Lane({self.name!r})"

    def hold(self) -> None:
        """Shut the gate: grant nothing here until :meth:`release`. Takes the lock itself."""
        with self.queue.lock:
            self._releases = 0

    def release(self, permits: int | None = None) -> None:
        """Open the gate: for *permits* permits, or permanently. Takes the lock itself."""
        with self.queue.lock:
            self._releases = permits
        self.queue.look_again()

    def snapshot(self) -> Snapshot:
        """Return its state, with all that wait in front of it. Takes the lock itself."""
        with self.queue.lock:
            return self.state(self.queue.alarm.time(), self.queue.waiting)

    def observe(
        self, reservation: Reservation, readings: tuple[Reading, ...]
    ) -> Sequence[LimitChange]:
        """Take in *readings* of an answer that has only begun. Takes the lock itself."""
        observe = getattr(self.budget, "observe", None)  # budgets of others need not have it
        if observe is None:
            return ()
        with self.queue.lock:
            self.brake.has_readings = True
            changes: Sequence[LimitChange]
            changes = observe(reservation, readings, self.queue.alarm.time())
        self.queue.look_again()
        return changes

    def state(self, now: float, waiting: int) -> Snapshot:
        """Return its state, with so many *waiting*."""
        brake = self.brake
        paused = max(0.0, brake.cooldown.until - now)
        levels = self.budget.levels(now)
        shares = self.bottleneck.shares([level.per_second for level in levels], now)
        return Snapshot(
            self.in_flight,
            brake.concurrency.limit,
            waiting,
            paused,
            tuple(
                dataclasses.replace(level, share=share)
                for level, share in zip(levels, shares, strict=True)
            ),
            self.bottleneck.binding(now),
            dict(self.bottleneck.totals),
            getattr(brake.concurrency, "is_doubling", False),
        )

    def headroom(self, cost: Cost, now: float) -> float:
        """
        Return the seconds of its rate that would be left after *cost*, in the scarcest bucket.

        Below zero while that has to flow in first, and minus infinity while it pauses, is held or
        has no room in flight.
        """
        if self._releases == 0 or self.in_flight >= self.brake.concurrency.limit:
            return -math.inf
        if now < self.brake.cooldown.until:
            return -math.inf
        least = math.inf
        for level in self.budget.levels(now):
            left = (level.available - cost.amount(level.dimension)) / level.per_second
            least = min(least, left)
        return least

    @property
    def is_full(self) -> bool:
        """Whether it was room in flight that held it back last."""
        return self._is_short_of_room

    def grant(self, cost: Cost, since: float, now: float) -> Permit | tuple[float, str]:
        """
        Return a permit for *cost*; or the seconds until it may go, and the cause.

        *since* is when it came.
        The seconds are infinite where something else pumps again: a permit that is closed, a
        place in flight, a release.
        """
        if self._releases == 0:
            return math.inf, bottleneck.HOLD
        slots, brake = self.slots, self.brake
        concurrency = brake.concurrency
        if slots is not None and not slots.is_free(self.queue.look_again):
            self._is_short_of_room = True
            return math.inf, bottleneck.IN_FLIGHT
        if self.in_flight >= concurrency.limit:
            self._is_short_of_room = True
            rises_in = concurrency.full(now)
            if self.in_flight >= concurrency.limit:
                return rises_in, bottleneck.IN_FLIGHT
        cooldown = brake.cooldown
        if now < cooldown.until:
            self._is_short_of_room = False
            return cooldown.until - now, bottleneck.PAUSE
        throttle = brake.throttle
        if throttle is not None and (wait := throttle.wait(now)) > 0:
            self._is_short_of_room = False
            return wait, bottleneck.REFUSALS
        speed = 1.0 if now >= cooldown.slow_until else cooldown.speed(now)
        reserved = self.budget.reserve(cost, now, speed)
        if isinstance(reserved, NotUntil):
            return self._wait_for(reserved, now, speed)
        if throttle is not None:
            throttle.take(now)
        if slots is not None:
            slots.take()
        if self._releases is not None:
            self._releases -= 1
        self.in_flight = load = self.in_flight + 1
        brake.granted += 1
        brake.grants.append((now, load))
        is_full = self._is_short_of_room
        token = concurrency.sent(now, load, is_full) if concurrency.learns else None
        return Permit(self, reserved, now - since, token, load, is_full)

    def _wait_for(self, not_until: NotUntil, now: float, speed: float) -> tuple[float, str]:
        """Return the seconds after which to ask the budget again, and the cause."""
        wait, rate = not_until
        self._is_short_of_room = False
        if rate.is_daily and self.on_dry is not None:
            # not at once: a stop for it changes what is being walked
            self.queue.alarm.soon(functools.partial(self.on_dry, rate, wait))
        if speed < 1:
            is_ramping = self.brake.cooldown.is_ramping(now)
            cause = bottleneck.PAUSE if is_ramping else rate.dimension
            return min(wait, _RAMP_STEP_SECONDS), cause
        return min(wait, _LONGEST_WAIT_SECONDS), rate.dimension
