"""
A budget that several processes spend from.

While other processes also want to send, the head of the queue takes a ticket: its cost is taken
from the store at once, and the resulting debt determines when it may be sent. So the processes form
one queue, first come, first served, with one exchange per request. A process that is alone spends
from its copy and updates the store a few times a second. If the store cannot be reached, each
process continues with its last known share.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from typing import TYPE_CHECKING

from ratedispatch.dimension import MINUTE
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.pacing.shared.deference import Deference
from ratedispatch.pacing.shared.head_line import HeadLine
from ratedispatch.pacing.shared.limit_copy import LimitCopy
from ratedispatch.pacing.shared.membership import DEFAULT, Membership, SharedTuning
from ratedispatch.pacing.shared.solitude import Solitude
from ratedispatch.pacing.shared.store import MOST_PRIORITY, Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.limits import Limits, Reading
    from ratedispatch.pacing.feedback import Change, Feedback, LimitChange
    from ratedispatch.pacing.limit.limit_memory import LimitMemory
    from ratedispatch.pacing.limit.tracked import TrackedLimit
    from ratedispatch.pacing.shared.head_ticket import Ticket
    from ratedispatch.pacing.shared.store import Sheet, Store
    from ratedispatch.pacing.snapshot import Level
    from ratedispatch.request import Cost


class SharedBudget(LocalBudget):
    """
    The buckets of one account, or of one group of its models, shared through a store.

    Args:
        limits: The limits of the account.
        store: Where they are shared.
        refunds: As in `LocalBudget`.
        output_up_front: As in `LocalBudget`.
        group: As in `LocalBudget`.
        memories: As in `LocalBudget`.
        tuning: The constants.

    Attributes:
        membership: What it has to do with the store.
        on_pause: Called with the instants when an episode of refusals that others have met began,
            and when all go on; returns whether that was news.
    """

    def __init__(
        self,
        limits: Limits,
        store: Store,
        *,
        refunds: bool = False,
        output_up_front: bool = True,
        group: str = "",
        memories: Sequence[LimitMemory] = (),
        tuning: SharedTuning = DEFAULT,
    ) -> None:
        super().__init__(
            limits,
            refunds=refunds,
            output_up_front=output_up_front,
            group=group,
            memories=memories,
        )
        self._copies = [
            LimitCopy(limit, math.inf if rate.is_auto else rate.per_minute)
            for limit, rate in zip(self._limits, limits.rates(), strict=True)
        ]
        self._lock = self._guard = threading.RLock()  # one lock, taken once where nothing is new
        self._line = HeadLine(self._limits, self._copies)
        self._paused_until = 0.0  # what others have told
        self._priority = 0  # of what waits here
        self._deference = Deference()
        self._joined: Pause | None = None
        self.on_pause: Callable[[float, float], bool] | None = None
        self.membership = membership = Membership(store, self._copies, tuning)
        membership.on_meet, membership.on_part = self._meet, self._part
        self._inbox = membership.inbox
        self._solitude = Solitude()

    def reserve(self, cost: Cost, now: float, speed: float = 1.0) -> Reservation | NotUntil:
        """Take *cost* in every dimension, or tell how long it takes until that is possible."""
        if now < self._solitude.until and not self._inbox:  # one call more than without sharing
            for account, most in self._solitude.bounds:
                if account.spent > most:
                    break
            else:
                return super().reserve(cost, now, speed)
        with self._guard:
            self.membership.take_in(now)
            if self._is_alone(now):
                self.membership.trust(self._solitude, now)
                return super().reserve(cost, now, speed)
            if self.membership.is_apart:
                self._exchange(now)  # it may be there again
            if self.membership.is_apart:
                return super().reserve(cost, now, speed / self.membership.wanting)
            return self._stand_in_line(cost, now, speed)

    def stand_for(self, priority: int) -> None:
        """Note the highest priority that waits in this process: that of all without other turns."""
        self._priority = max(-MOST_PRIORITY, min(MOST_PRIORITY, priority))

    def report(
        self,
        reservation: Reservation,
        feedback: Feedback,
        now: float,
        *,
        resumes_at: float | None = None,
        is_new_episode: bool = False,
    ) -> Sequence[Change]:
        """Close *reservation*, as :meth:`Budget.report` says, and tell the store in time."""
        membership = self.membership
        with self._guard:
            if self._inbox:
                membership.take_in(now)
            changes = super().report(
                reservation,
                feedback,
                now,
                resumes_at=resumes_at,
                is_new_episode=is_new_episode,
            )
            if feedback.readings is not None or resumes_at is not None:
                for copy in self._copies:
                    copy.may_have_learned = True
            is_urgent = bool(changes)
            if resumes_at is not None and is_new_episode:
                membership.pause = Pause(now, resumes_at)
                self._line.give_back(now)  # what was due by then must not go all at once
                is_urgent = True
            elif self._line.is_idle(now):
                self._line.give_back(now)  # nothing waits any more
                is_urgent = True
            if is_urgent or now - membership.told_at >= membership.tuning.tell_seconds:
                self._exchange(now)
            if membership.changes:
                changes = [*changes, *membership.changes]
                membership.changes.clear()
            return changes

    def observe(
        self, reservation: Reservation, readings: Sequence[Reading], now: float
    ) -> Sequence[LimitChange]:
        """Correct the buckets by the head of the answer to *reservation*, which stays open."""
        with self._guard:
            for copy in self._copies:
                copy.may_have_learned = True
            return super().observe(reservation, readings, now)

    def look(self, now: float) -> None:
        """Take in what others have met by now: before a refusal is judged, for one."""
        with self._guard:
            if not self.membership.is_apart:
                self._exchange(now)

    def granted(self) -> list[float]:
        """Return what was reserved here in each dimension since the start."""
        pairs = zip(super().granted(), self._copies, strict=True)
        return [granted - copy.others for granted, copy in pairs]

    def found(self, now: float) -> tuple[LimitMemory, ...]:
        """Return what another run may begin with: what is gone of a day is gone for all."""
        with self._guard:
            found = super().found(now)
        return tuple([dataclasses.replace(one, is_shared=one.spent is not None) for one in found])

    def close(self, now: float) -> None:
        """Give back what is held, and leave."""
        with self._guard:
            self._line.give_back(now)
            self._exchange(now, leaves=True)
            self.membership.leave()

    def _is_alone(self, now: float) -> bool:
        """Whether nobody else wants anything, as far as was told a moment ago."""
        membership, tuning = self.membership, self.membership.tuning
        if membership.wanting > 1 or membership.is_apart or not membership.has_sheet:
            return False
        is_ahead = membership.outruns(now)
        if not is_ahead and not membership.is_due(now, tuning.tell_seconds):
            return self._line.ticket is None
        is_ahead = is_ahead and membership.is_asking
        age = now - membership.heard_at
        self._exchange(now)
        if membership.is_asking and (is_ahead or age >= tuning.stale_seconds):
            return False
        return membership.wanting == 1 and self._line.ticket is None and not membership.is_apart

    def _stand_in_line(self, cost: Cost, now: float, speed: float) -> Reservation | NotUntil:
        """Take a ticket for *cost*, or check the existing one."""
        for limit in self._limits:
            limit.run(now, speed)
            wait = limit.closed(limit.amount_of(cost), now)
            if wait > 0:
                return NotUntil(wait, limit.rate)
        membership, ticket = self.membership, self._line.ticket
        beat = membership.tuning.beat_seconds
        if ticket is None or not ticket.is_for(cost):
            held_for = self._defer(cost, now, speed)
            if held_for is not None:
                return held_for
            ticket = self._find_ticket(cost, now)
        elif membership.is_due(now, beat):
            self._exchange(now)
            ticket = self._line.ticket
            if ticket is None and not membership.is_apart:  # it was taken back
                ticket = self._take_ticket(cost, now)
        if ticket is None or not ticket.is_known:
            return self._ask_in(beat)
        if now < self._paused_until:
            return self._ask_in(self._paused_until - now)
        wait, rate = ticket.wait(now)
        if wait > 0:
            # of a day all of it is told: a run may end for it
            return NotUntil(wait if rate.is_daily else min(wait, beat), rate)
        self._line.go()
        membership.store.redeemed()
        reservation = ticket.reservation
        reservation.at = now
        self._open[reservation] = None
        if len(self._open) > self._peak:
            self._peak, self._widened_at = len(self._open), now
        return reservation

    def _defer(self, cost: Cost, now: float, speed: float) -> NotUntil | None:
        """
        Leave the line to a higher priority that waits in another process.

        What those leave is what is there without a place in the line.

        Returns:
            How long, or None: nobody goes first, there is enough, or this has waited for too long.
        """
        membership, deference = self.membership, self._deference
        while membership.rival is not None and membership.rival > self._priority:
            self._line.give_back(now)  # it is not to be kept meanwhile
            amounts = [limit.amount_of(cost) for limit in self._limits]
            pairs = zip(self._limits, amounts, strict=True)
            waits = [limit.wait(amount, now, speed) for limit, amount in pairs]
            place = max(range(len(waits)), key=waits.__getitem__)
            others = [copy.others for copy in self._copies]
            tuning, wait = membership.tuning, waits[place]
            if deference.may_stand(amounts, place, others, membership.wanting, now):
                return None
            is_fresh = membership.heard_at >= now
            if wait > 0 and not (membership.is_due(now, tuning.beat_seconds) and not is_fresh):
                return self._ask_in(min(max(wait, tuning.fresh_seconds), tuning.beat_seconds))
            if wait <= 0 and is_fresh:
                break
            heard_at = membership.heard_at
            self._exchange(now)
            if membership.is_apart or membership.heard_at == heard_at:  # it is on its way
                return self._ask_in(tuning.beat_seconds)
        deference.end()
        return None

    def _ask_in(self, seconds: float) -> NotUntil:
        """Return a wait for others, or for the store: for no day."""
        rate = min([limit.rate for limit in self._limits], key=lambda rate: rate.is_daily)
        return NotUntil(seconds, dataclasses.replace(rate, window=MINUTE))

    def _take_ticket(self, cost: Cost, now: float) -> Ticket | None:
        """Ask the store for a place; return None as long as it is not known."""
        membership = self.membership
        if membership.is_asking:
            return None
        if not membership.has_sheet or not self._has_started or self._is_resuming:
            # what is held back must be held back of what there is
            if now - membership.heard_at > membership.tuning.fresh_seconds:
                self._exchange(now)
            if membership.is_asking or membership.is_apart:
                return None
            self._begin(cost, now)
        self._line.give_back(now)
        ticket = self._line.take(cost, now, self._next(), membership.followers)
        self._exchange(now)
        return self._line.ticket or ticket

    def _find_ticket(self, cost: Cost, now: float) -> Ticket | None:
        """Return a ticket for *cost* that is paid for, or ask for one."""
        if self._line.ticket is None:
            drawn = self._line.draw(cost, now, self._reserved + 1)
            if drawn is not None:
                self._reserved += 1
                return drawn
        return self._take_ticket(cost, now)

    def _next(self) -> int:
        """Return the number of the next reservation."""
        self._reserved += 1
        return self._reserved

    def _exchange(self, now: float, *, leaves: bool = False) -> None:
        waits = self._line.ticket is not None or self._deference.waits(now)
        priority, held = self._priority, self._line.held
        self.membership.exchange(now, held, waits=waits, priority=priority, leaves=leaves)

    def _part(self, now: float) -> None:
        """Leave the common queue: there is none without a store."""
        self._solitude.until = -math.inf
        self._line.give_back(now)

    def _meet(self, sheet: Sheet, now: float, is_anew: bool) -> None:
        """Find the place of the ticket, and pause with others."""
        self._solitude.until = -math.inf
        if is_anew and any(copy.has_been_spent for copy in self._copies):
            for limit in self._limits:
                limit.forget_spent()
        if self.membership.wanting > 1 and not self._has_started:
            self._has_started = True  # others have begun, and the provider has let them
        ticket = self._line.ticket
        if ticket is not None and not ticket.is_known:
            ticket.stand(now)
            ticket.mark()
        elif sheet.was_reaped or is_anew:
            self._line.give_back(now, is_taken=False)
        if sheet.pause is not None:
            self._join(sheet.pause, now)

    def _join(self, pause: Pause, now: float) -> None:
        """Pause with others, once for each episode."""
        if pause == self._joined or self.on_pause is None:
            return
        self._joined = pause
        began, until = self.membership.local(pause)
        if until > now and self.on_pause(began, until):
            self._paused_until = until
            self._is_resuming = True
            self._line.give_back(now)

    def _level(self, limit: TrackedLimit, now: float) -> Level:
        copy = self._copies[self._limits.index(limit)]
        return copy.own(super()._level(limit, now), now, self.membership.wanting)
