"""
The budget of one process: a tracked limit for each dimension, all debited together.

Depends only on the instants that it is given; safe for threads, with one lock.

Why together: a request that waits for two limiters one after another spends the first while it
waits for the second, and what it holds there is lost to all others.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import TYPE_CHECKING

from ratedispatch.dimension import LONGEST_MINUTE, STANDARD, dimension_named
from ratedispatch.errors import CostExceedsLimit
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.feedback import End, LimitChange
from ratedispatch.pacing.limit.charge_rule import rule_like
from ratedispatch.pacing.limit.tracked import SpendMark, TrackedLimit
from ratedispatch.pacing.snapshot import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from ratedispatch.limits import Limits, Reading
    from ratedispatch.pacing.feedback import Change, Feedback
    from ratedispatch.pacing.limit.limit_memory import LimitMemory
    from ratedispatch.request import Cost

#: Requests that left within so many seconds may reach the provider in another order: while more
#: are in flight than ever before, each opens its connection first; later they overtake one another
#: on the way only.
_REORDERING_SECONDS = 1.0
_JITTER_SECONDS = 0.03

_STANDARD_NAMES = tuple(dimension.name for dimension in STANDARD if not dimension.is_daily)


class LocalBudget:
    """
    The buckets of one account, or of one group of its models.

    Two dispatchers, or two event loops, may share one: their clocks have to agree, as those of all
    event loops on one machine do (``time.monotonic``).

    Args:
        limits: The limits of the account.
        refunds: Whether the provider is known to return what a request did not use.
        output_up_front: Whether it is known to charge the output cap when a request is sent.
        group: The group of models that it limits, for `levels`.
        memories: What an earlier run found out about the limits.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        refunds: bool = False,
        output_up_front: bool = True,
        group: str = "",
        memories: Sequence[LimitMemory] = (),
    ) -> None:
        known = {memory.dimension: memory for memory in memories}
        self._limits = [
            TrackedLimit(
                rate,
                limits.burst_of,
                refunds=refunds,
                rule=rule_like(rate.dimension, output=output_up_front, refunds=refunds),
                memory=known.get(rate.dimension),
            )
            for rate in limits.rates()
        ]
        # the rate of a limit may change, its dimension does not
        dimensions = [dimension_named(limit.dimension) for limit in self._limits]
        self._names = tuple(dimension.name for dimension in dimensions)
        self._of_cost = tuple(dimension.of_cost for dimension in dimensions)
        self._of_usage = tuple(
            (number, dimension.of_usage)
            for number, dimension in enumerate(dimensions)
            if dimension.of_usage is not None
        )
        self._parts = tuple(zip(self._of_cost, self._limits, strict=True))
        self._group = group
        self._lock: AbstractContextManager[object] = threading.Lock()
        self._open: dict[Reservation, None] = {}  # in the order of their instants
        self._reserved = 0
        self._peak = 0
        self._widened_at = 0.0
        self._has_started = False
        self._is_resuming = False

    def check(self, cost: Cost, name: Callable[[], str]) -> None:
        """
        Do nothing if *cost* can ever be paid; see :meth:`Budget.check`.

        Raises:
            CostExceedsLimit: It is above a whole minute (or day) of a limit. The message calls
                the request what *name* returns.
        """
        for of_cost, limit in self._parts:
            amount = of_cost(cost)
            if (
                amount > 1 and amount > limit.source.most >= 0
            ):  # one request always goes, in its time
                raise CostExceedsLimit(name(), limit.dimension, amount, limit.most)

    def reserve(self, cost: Cost, now: float, speed: float = 1.0) -> Reservation | NotUntil:
        """
        Debit *cost* in every dimension, or return how long to wait; see :meth:`Budget.reserve`.
        """
        with self._lock:
            if not self._has_started or self._is_resuming:
                self._begin(cost, now)
            longest, scarcest = 0.0, None
            amounts = []
            for limit in self._limits:
                amount = limit.amount_of(cost)
                amounts.append(amount)
                wait = limit.wait(amount, now, speed)
                if wait > longest:
                    longest, scarcest = wait, limit
            if scarcest is not None:
                return NotUntil(longest, scarcest.rate)
            marks = []
            limits = self._limits
            for index, amount in enumerate(amounts):  # faster than a strict zip
                marks.append(limits[index].spend(amount, now, cost))
            self._reserved += 1
            reservation = Reservation(cost, now, amounts, marks, self._reserved)
            self._open[reservation] = None
            if len(self._open) > self._peak:
                self._peak, self._widened_at = len(self._open), now
            return reservation

    def report(
        self,
        reservation: Reservation,
        feedback: Feedback,
        now: float,
        *,
        resumes_at: float | None = None,
        is_new_episode: bool = False,
    ) -> Sequence[Change]:
        """
        Close *reservation*, as :meth:`Budget.report` says.

        Raises:
            RuntimeError: It was reported before.
        """
        with self._lock:
            if reservation not in self._open:
                raise RuntimeError(
                    "this reservation was already reported; report each exactly once"
                )
            changes: Sequence[Change] = ()
            if feedback.end is End.UNSENT:
                for limit, amount in zip(self._limits, reservation.amounts, strict=True):
                    limit.refund(amount, now, reservation.cost)
            elif feedback.readings is not None:
                refused = feedback.end is End.REFUSED
                changes = self._read(reservation, feedback.readings, now, refused=refused)
            if resumes_at is not None:
                self._is_resuming = True
                if is_new_episode and feedback.strain is None:
                    changes = [*changes, *self._refuse(reservation, feedback, now, resumes_at)]
            del self._open[reservation]
            usage = feedback.usage
            if usage is not None:  # what it leaves comes back where the provider gives it back
                for number, of_usage in self._of_usage:
                    amount = reservation.amounts[number]
                    self._limits[number].settle(amount, of_usage(usage), now, reservation.cost)
            return changes

    def observe(
        self, reservation: Reservation, readings: Sequence[Reading], now: float
    ) -> Sequence[LimitChange]:
        """
        Correct the buckets by the *readings* in the head of an answer that is not complete.

        *reservation* stays open; one that is closed changes nothing. *now* is in seconds.
        """
        with self._lock:
            if reservation not in self._open:
                return ()
            return self._read(reservation, readings, now, refused=False)

    def slow_down(self, until: float, now: float) -> None:
        """Spend nothing of what has accumulated at the provider before *until*, in seconds."""
        with self._lock:
            for limit in self._limits:
                limit.drop_surplus_until(until, now)

    def forget_refusals(self, now: float) -> None:
        """Discard the rates learned from refusals, which turned out to have another cause."""
        with self._lock:
            for limit in self._limits:
                limit.forget_refusals(now)

    def granted(self) -> list[float]:
        """Return what was reserved in each dimension since the start, given back or not."""
        # without the lock: totals that a report changes meanwhile are only a moment old
        return [limit.account.spent + limit.account.given_back for limit in self._limits]

    def found(self, now: float) -> tuple[LimitMemory, ...]:
        """Return, for each limit, what the next run can start with."""
        with self._lock:
            return tuple([limit.found(now, self._reserved) for limit in self._limits])

    def levels(self, now: float) -> tuple[Level, ...]:
        """Return the state of each bucket at *now*, in seconds."""
        with self._lock:
            return tuple([self._level(limit, now) for limit in self._limits])

    def _begin(self, cost: Cost, now: float) -> None:
        """Prepare the buckets for *cost*, the first request of all or the first after a pause."""
        if not self._has_started:
            self._has_started = True
            for limit in self._limits:
                limit.start(now, limit.amount_of(cost))
        if self._is_resuming:
            self._is_resuming = False
            for limit in self._limits:
                limit.resume(limit.amount_of(cost), now)

    def _level(self, limit: TrackedLimit, now: float) -> Level:
        rate, is_known = limit.rate, limit.is_known
        return Level(
            dimension=rate.dimension,
            per_minute=rate.per_minute if is_known else math.inf,
            available=limit.available(now),
            spent=limit.spent,
            used=limit.used,
            others=limit.others * 60,
            group=self._group,
            limit=rate.limit if is_known else math.inf,
            per_second=rate.per_second,
            returned=limit.came_back,
            burst=rate.burst,
            held=limit.held,
            piled=limit.piled(now),
        )

    def _read(
        self, reservation: Reservation, readings: Sequence[Reading], now: float, *, refused: bool
    ) -> Sequence[LimitChange]:
        """Correct the buckets by what a response says about the provider's."""
        found = {}
        for told in readings:
            is_hourly = told.window is not None and told.window > LONGEST_MINUTE
            found[told.bucket if is_hourly else told.dimension] = told
        sent_at = reservation.at
        changes: list[LimitChange] = []
        for number, limit in enumerate(self._limits):
            reading = found.get(self._names[number])
            if not refused:
                if reading is None:
                    limit.on_silent_answer(sent_at, now)
                    continue
                limit.release_opening(sent_at, now)
            charged, returned, position = reservation.marks[number]
            mark = SpendMark(
                sent_at,
                reservation.number,
                charged,
                returned,
                reservation.amounts[number],
                functools.partial(self._overtaken, reservation, number),
                refused,
                position,
                functools.partial(self._in_flight, reservation, number),
            )
            if refused:
                limit.on_uncharged(mark.amount, now, reservation.cost)
            if limit.observe(reading, mark, now) is not None:
                changes.append(LimitChange(limit.rate))
        return changes

    def _refuse(
        self, reservation: Reservation, feedback: Feedback, now: float, resumes_at: float
    ) -> list[LimitChange]:
        """Take the first refusal of an episode into account, in the limits it may be about."""
        about = _STANDARD_NAMES if feedback.dimension is None else (feedback.dimension,)
        changes = []
        for name, limit, amount in zip(self._names, self._limits, reservation.amounts, strict=True):
            # a refusal about the minute says nothing about the day
            if name not in about:
                continue
            before = limit.rate.per_minute
            limit.on_refusal(now, amount=amount, resumes_at=resumes_at)
            if limit.rate.per_minute != before:
                changes.append(LimitChange(limit.rate))
        return changes

    def _in_flight(self, reservation: Reservation, number: int, since: float) -> float:
        """Return how much left at *since* or later and is not answered, without *reservation*."""
        return sum(
            [
                other.amounts[number]
                for other in self._open
                if other.at >= since and other is not reservation
            ]
        )

    def _overtaken(self, reservation: Reservation, number: int) -> float:
        """Return how much may have been charged after *reservation* though it left before it."""
        amount = 0.0
        is_widening = reservation.at - self._widened_at < _REORDERING_SECONDS
        earliest = reservation.at - (_REORDERING_SECONDS if is_widening else _JITTER_SECONDS)
        for other in self._open:
            if other is reservation:
                break
            if other.at >= earliest:
                amount += other.amounts[number]
        return amount
