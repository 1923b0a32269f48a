"""
The queue of one route, and the decision when its head may go.

A request goes when it is first in the queue, no pause is running, there is room in flight, and
the budget can pay for it in every dimension. Knows no HTTP, no files and no event loop: the clock
and its timer are handed in as an `Alarm`, and one lock makes it safe for threads.

Why one queue: a limiter that wakes the smallest amount first starves large requests. Here only
the head waits for the budget, and a request that comes back for another attempt keeps its rank.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import threading
from typing import TYPE_CHECKING, TypeVar

from ratedispatch.pacing import bottleneck
from ratedispatch.pacing.bottleneck import BottleneckClock
from ratedispatch.pacing.brake import Brake
from ratedispatch.pacing.budget import NotUntil
from ratedispatch.pacing.permit import Permit
from ratedispatch.pacing.queue import FairQueue, deliver
from ratedispatch.pacing.snapshot import Snapshot

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from ratedispatch.limits import Rate
    from ratedispatch.pacing.alarm import Alarm, Watcher
    from ratedispatch.pacing.budget import Budget
    from ratedispatch.pacing.concurrency.limit import ConcurrencyLimit
    from ratedispatch.pacing.concurrency.slots import Slots
    from ratedispatch.pacing.feedback import Change, Feedback
    from ratedispatch.pacing.queue import Entry, Grant
    from ratedispatch.request import Cost

EntryT = TypeVar("EntryT", bound="Entry")

#: While the queue ramps up after a pause its speed is set at least this often.
_RAMP_STEP_SECONDS = 0.02

#: A wait is computed again after at most this long: limits that are being learned rise with time.
_LONGEST_WAIT_SECONDS = 1.0


class Admission:
    """
    The queue of one route.

    Args:
        budget: What may be spent.
        concurrency: How many may be in flight.
        alarm: The clock, and the timer that wakes the queue.
        rng: The source of jitter of pauses.
        slots: Places in flight that it shares with other queues.
        on_dry: Called soon after the head has to wait for a day's limit, with that limit and the
            seconds; None to wait in silence.
        watcher: Told when permits are closed, as long as it is watching.
    """

    def __init__(
        self,
        budget: Budget,
        concurrency: ConcurrencyLimit,
        alarm: Alarm,
        *,
        rng: random.Random,
        slots: Slots | None = None,
        on_dry: Callable[[Rate, float], None] | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self.budget = budget
        self._alarm = alarm
        self._slots = slots
        self._on_dry = on_dry
        self._watcher = watcher
        self._lock = threading.Lock()
        self._queue = FairQueue()
        self._bottleneck = BottleneckClock(budget.granted)
        self._brake = Brake(budget, self._bottleneck, concurrency, rng)
        self.in_flight = 0
        """Attempts that were granted and are not closed."""
        self._releases: int | None = None  # permits until the gate shuts; None: it is open
        self._closed: Callable[[], BaseException] | None = None
        self._has_alarm = False
        self._is_short_of_room = False  # what held the queue back last was room in flight

    def enter(self, cost: Cost, rank: int, make_entry: Callable[[], EntryT]) -> Permit | EntryT:
        """
        Return a permit for *cost* if it may go at once; otherwise put it into the queue.

        Args:
            cost: What to pay.
            rank: Lower ranks go first.
            make_entry: Makes the entry that is told when it may go; only called if it has to wait.

        Raises:
            BaseException: What the queue was closed with.
        """
        with self._lock:
            if self._closed is not None:
                raise self._closed()
            now, queue = self._alarm.time(), self._queue
            if not queue.size:
                granted = self._grant(cost, now, now)
                if isinstance(granted, Permit):
                    self._bottleneck.hold(bottleneck.NOTHING, now, has_granted=True)
                    return granted
                entry = make_entry()
                queue.join(entry, rank, cost, now)
                wait, cause = granted
                if wait < math.inf:
                    self._set_alarm(wait, now)
                self._bottleneck.hold(cause, now)
                return entry
            entry = make_entry()
            queue.join(entry, rank, cost, now)
            # a request behind the head does not change which one goes next
            grants = self._pump(now) if queue.head() is entry else ()
        deliver(grants)
        return entry

    def leave(self, entry: Entry) -> None:
        """Take *entry*, whose future is done, out of the queue."""
        with self._lock:
            self._queue.leave(entry)
        self._look_again()

    def set_concurrency(self, concurrency: ConcurrencyLimit) -> None:
        """Let *concurrency* decide from now on how many may be in flight."""
        with self._lock:
            self._brake.concurrency = concurrency
        self._look_again()

    def hold(self) -> None:
        """Shut the gate: grant nothing until :meth:`release`."""
        with self._lock:
            self._releases = 0

    def release(self, permits: int | None = None) -> None:
        """Open the gate: for so many *permits*, or for good."""
        with self._lock:
            self._releases = permits
        self._look_again()

    def close(self, error: Callable[[], BaseException]) -> None:
        """Fail every request in the queue, and every one that comes, with what *error* returns."""
        with self._lock:
            self._closed = error
            self._clear_alarm()
            entries = self._queue.clear()
        for entry in entries:  # a shared exception would collect every waiter's traceback
            entry.fail(error())

    def snapshot(self) -> Snapshot:
        """Return the state of the queue and its buckets."""
        with self._lock:
            now = self._alarm.time()
            levels = self.budget.levels(now)
            shares = self._bottleneck.shares([level.per_second for level in levels], now)
            return Snapshot(
                self.in_flight,
                self._brake.concurrency.limit,
                self._queue.size,
                max(0.0, self._brake.cooldown.until - now),
                tuple(
                    dataclasses.replace(level, share=share)
                    for level, share in zip(levels, shares, strict=True)
                ),
                self._bottleneck.binding(now),
                dict(self._bottleneck.totals),
            )

    def close_permit(self, permit: Permit, feedback: Feedback) -> Sequence[Change]:
        """Close *permit*; called once for each by `Permit.report`."""
        grants: Sequence[Grant] = ()
        try:
            with self._lock:
                now = self._alarm.time()
                try:
                    return self._brake.report(permit, feedback, now)
                finally:  # whatever becomes of the report, the permit is closed
                    self.in_flight -= 1
                    if self._queue.size or self._has_alarm:
                        grants = self._pump(now)
                    else:
                        self._bottleneck.hold(bottleneck.NOTHING, now)
        finally:
            deliver(grants)
            if self._slots is not None:
                self._slots.give()  # outside the lock: it wakes other queues
            if self._watcher is not None and self._watcher.is_watching:
                self._watcher.on_ended()

    def _pump(self, now: float) -> Sequence[Grant]:
        """
        Grant to the head of the queue as long as it may go, then set the alarm for the next.

        Returns:
            Who was granted what, to be delivered after the lock is released.
        """
        wait, cause = 0.0, bottleneck.NOTHING
        grants: list[Grant] = []
        queue = self._queue
        while (head := queue.head()) is not None:
            granted: Permit | BaseException | tuple[float, str]
            try:
                granted = self._grant(head.cost, head.since, now)
            except Exception as error:  # a budget that fails fails a request, not the queue
                granted = error
            if not isinstance(granted, tuple):
                queue.pop()
                grants.append((head, granted))
            else:
                wait, cause = granted
                break
        if self._has_alarm or 0 < wait < math.inf:
            self._set_alarm(wait, now)
        self._bottleneck.hold(cause, now, has_granted=bool(grants))
        return grants

    def _set_alarm(self, wait: float, now: float) -> None:
        """Look again after *wait* seconds, unless they are infinite or none."""
        if self._has_alarm:
            self._clear_alarm()
        if 0 < wait < math.inf:
            # a wait may be shorter than the clock can tell, and must not be over before it began
            self._has_alarm = True
            self._alarm.set(max(now + wait, math.nextafter(now, math.inf)), self._look_again)

    def _grant(self, cost: Cost, since: float, now: float) -> Permit | tuple[float, str]:
        """
        Return a permit for *cost*; or the seconds until it may go, and the cause.

        *since* is when it came.
        The seconds are infinite where something else pumps again: a permit that is closed, a
        place in flight, a release.
        """
        if self._releases == 0:
            return math.inf, bottleneck.HOLD
        slots, brake = self._slots, self._brake
        concurrency = brake.concurrency
        if slots is not None and not slots.is_free(self._look_again):
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
        if rate.is_daily and self._on_dry is not None:
            # not at once: a stop for it changes what is being walked
            self._alarm.soon(functools.partial(self._on_dry, rate, wait))
        if speed < 1:
            is_ramping = self._brake.cooldown.is_ramping(now)
            cause = bottleneck.PAUSE if is_ramping else rate.dimension
            return min(wait, _RAMP_STEP_SECONDS), cause
        return min(wait, _LONGEST_WAIT_SECONDS), rate.dimension

    def _look_again(self) -> None:
        """Grant what may go now; called by the alarm, by other queues and by the caller."""
        with self._lock:
            grants = self._pump(self._alarm.time())
        deliver(grants)

    def _clear_alarm(self) -> None:
        self._has_alarm = False
        self._alarm.clear()
