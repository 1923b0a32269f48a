"""
Slows a queue down after refusals, and decides what each refusal is about.

Judges each refusal by what happened to other requests: it is about one request (which steps aside),
the speed (the queue pauses and resumes more slowly), the number in flight (which is lowered), or
nothing that we can change (the request is retried as after any error). Keeps the pauses and the
number in flight; knows no queue.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ratedispatch.pacing.blackout import Blackout
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.constancy import Constancy
from ratedispatch.pacing.cooldown import Cooldown
from ratedispatch.pacing.evidence import Evidence
from ratedispatch.pacing.feedback import End, Pause, Strain, Verdict
from ratedispatch.pacing.scatter import Scatter
from ratedispatch.pacing.throttle import Throttle

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from ratedispatch.pacing.bottleneck import BottleneckClock
    from ratedispatch.pacing.budget import Budget
    from ratedispatch.pacing.concurrency.limit import ConcurrencyLimit
    from ratedispatch.pacing.evidence import LoadFinding, Standing
    from ratedispatch.pacing.feedback import Change, Feedback
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.queue import Entry

#: So many must be refused with more in flight than is answered before fewer are sent at once ...
_FEWEST_ABOVE = 2

#: ... and in so many bursts, unless only the number in flight held the queue back: a rate that is
#: reached for the first time is refused with the most in flight there ever was, too.
_FEWEST_BURSTS = 2

#: A number in flight this many times what was refused is not lowered step by step.
_FAR_ABOVE = 2


def _is_nameless(feedback: Feedback) -> bool:
    """Return whether a refusal does not say what it is about."""
    return feedback.strain is None and feedback.dimension is None


def _is_bare(feedback: Feedback) -> bool:
    """Return whether a refusal says neither for how long nor what it is about."""
    return feedback.delay is None and _is_nameless(feedback)


class Brake:
    """
    What refusals do to one queue.

    Args:
        budget: Told how each attempt ended.
        bottleneck: Knows what was spent lately.
        concurrency: How many may be in flight; replaced where that is what is refused.
        rng: The source of jitter of pauses.

    Attributes:
        concurrency: The argument of this name, or what has replaced it.
        cooldown: The pauses.
        throttle: The rate that was learned where none is set; None if none was.
        granted: Permits so far.
        has_readings: Whether answers say anything of the buckets.
        grants: When the latest of them were granted, and how many were in flight with each.
    """

    __slots__ = (
        "_blackout",
        "_bottleneck",
        "_budget",
        "_constancy",
        "_evidence",
        "_is_crowded",
        "_is_rate",
        "_look",
        "_refused",
        "_replaced",
        "_rng",
        "_scatter",
        "concurrency",
        "cooldown",
        "granted",
        "grants",
        "has_readings",
        "throttle",
    )

    def __init__(
        self,
        budget: Budget,
        bottleneck: BottleneckClock,
        concurrency: ConcurrencyLimit,
        rng: random.Random,
    ) -> None:
        self._budget = budget
        self._look = getattr(budget, "look", None)  # only a budget that is shared has it
        self._bottleneck = bottleneck
        self._rng = rng
        self._evidence = Evidence()
        self._constancy = Constancy()
        self._scatter = Scatter()
        self._blackout = Blackout()
        self._is_rate = False
        self.has_readings = False
        self._refused = 0
        self._is_crowded = False
        self._replaced: ConcurrencyLimit | None = None
        self.concurrency = concurrency
        self.cooldown = Cooldown()
        self.throttle: Throttle | None = None
        self.granted = 0
        self.grants = self._evidence.grants

    def report(
        self, permit: Permit, feedback: Feedback, now: float, waiting: Iterable[Entry] = ()
    ) -> Sequence[Change]:
        """
        Tell the budget, the pauses and the concurrency limit how an attempt ended.

        Args:
            permit: The permit of the attempt; gets the verdict on a refusal.
            feedback: What the attempt said.
            now: The instant.
            waiting: Requests that wait in the queue.
        """
        evidence = self._evidence
        if feedback.end is End.REFUSED:
            return self._refuse(permit, feedback, now, waiting)
        if feedback.end is End.ANSWERED:
            if self.cooldown.strikes:
                self.cooldown.on_answer(permit.granted_at)
                is_over = self._blackout.is_over(permit.reservation.number, permit.granted_at)
                if is_over and self._is_rate and self.throttle is None:
                    self._forget_rate(now)
            if permit.token is not None:
                self.concurrency.ended(permit.token, now)
            evidence.answers.append((now, permit.granted_at, permit.load))
            if feedback.readings:
                self.has_readings = True
        if evidence.streaks and feedback.row is not None:
            evidence.streaks.pop(feedback.row, None)
        return self._budget.report(permit.reservation, feedback, now)

    def recall(self, per_second: float | None, room: int | None) -> None:
        """
        Begin with what refusals taught an earlier run.

        Args:
            per_second: The rate, where none is set; None if there was none.
            room: The number in flight, where that is what was refused; None if it was not.
        """
        if per_second is not None:
            self.throttle = Throttle.recalled(per_second)
        most = self.concurrency.limit
        if room is not None and room < most:
            self._is_crowded, self._replaced = True, self.concurrency
            self.concurrency = AdaptiveLimit(start=room, most=most)

    def found(self, now: float) -> tuple[float | None, int | None]:
        """Return what refusals have taught, as :meth:`recall` takes it."""
        rate = None if self.throttle is None else self.throttle.found(now, self._admitted)
        concurrency = self.concurrency
        is_narrow = self._is_crowded and self._replaced is not None
        room = concurrency.found if is_narrow and isinstance(concurrency, AdaptiveLimit) else None
        return rate, room

    @property
    def _admitted(self) -> int:
        return self.granted - self._refused

    def _refuse(
        self, permit: Permit, feedback: Feedback, now: float, waiting: Iterable[Entry]
    ) -> Sequence[Change]:
        """Let the request step aside, send fewer at once, or pause and slow down."""
        evidence, strain = self._evidence, feedback.strain
        if self._look is not None:  # others may have met the same episode before
            self._look(now)
        self._refused += 1
        others = (entry.rank for entry in waiting)
        standing = evidence.refused(feedback.row, permit.granted_at, permit.load, now, others)
        if not standing.is_alone:
            self._scatter.refused(permit.reservation.number)
            self._blackout.refused(permit.reservation.number, permit.granted_at)
        finding = evidence.load_finding(permit.granted_at, permit.load)
        is_crowded = self._is_crowded_by(finding, permit, feedback)
        if not is_crowded and self._is_odd(permit, feedback, standing, now):
            # a strained server says itself that it is no matter of one request
            is_untested = standing.is_untested and strain is None
            permit.verdict = Verdict.UNTESTED if is_untested else Verdict.ODD
            return self._budget.report(permit.reservation, feedback, now)
        if is_crowded:
            self._drop(permit, finding.load, now)
            # without an answer since the last refusal fewer at once is not enough
            has_answered = evidence.has_answered_since(self.cooldown.struck_at)
            is_paused = self.cooldown.on_queue_full(now, has_answered=has_answered)
            permit.verdict = Verdict.LINE if is_paused else Verdict.ROOM
            if is_paused:  # what it asks is for one request, not for all
                feedback = dataclasses.replace(feedback, delay=None)
        elif standing.is_alone:
            permit.verdict = Verdict.LEFT if standing.is_left else Verdict.ALONE
        else:
            permit.verdict = Verdict.UNTESTED if standing.is_untested else Verdict.LINE
            if strain is Strain.OVERLOADED:
                if not self.has_readings:
                    feedback = dataclasses.replace(feedback, strain=None)
                elif not self.cooldown.strikes:  # while all is refused, the speed shows nothing
                    self._slow_down(now)  # the limits are not what it is about
        if permit.verdict in {Verdict.LINE, Verdict.UNTESTED}:
            return self._pause(permit, feedback, now)
        return self._budget.report(permit.reservation, feedback, now)

    def _is_odd(self, permit: Permit, feedback: Feedback, standing: Standing, now: float) -> bool:
        """Return whether a refusal is one of a few that come at any speed."""
        if feedback.strain is Strain.OVERLOADED:
            is_strewn = feedback.delay is None and not self._scatter.is_dense
            return is_strewn or self._evidence.is_small_share()
        if standing.is_alone or not self._says_no_numbers(feedback):
            return False
        if feedback.delay is not None and not self._is_rate:
            cooldown = self.cooldown
            if not self._evidence.has_answered_since(cooldown.struck_at):
                self._is_rate = cooldown.strikes > 0 and not standing.is_untested
                return False
        return self._is_by_chance(permit, now)

    def _says_no_numbers(self, feedback: Feedback) -> bool:
        """Return whether a refusal names no limit, and the server has not said what is left."""
        is_advised = feedback.delay is not None and self.has_readings
        return _is_nameless(feedback) and not (feedback.readings or is_advised)

    def _is_by_chance(self, permit: Permit, now: float) -> bool:
        """
        Return whether a refusal that says nothing comes at any speed.

        It is taken for that until several stand close together. A rate that is believed in from
        there on is given up when what is refused contradicts it; what was slowed down for it
        goes on at full speed.
        """
        scatter, constancy = self._scatter, self._constancy
        if not self._is_rate:
            self._is_rate = scatter.is_dense
            return not self._is_rate
        constancy.on_refusal(
            permit.granted_at,
            admitted=self._admitted,
            resumed_at=self.cooldown.until,
            grants=self._evidence.grants,
        )
        if constancy.is_refuted:
            self._forget_rate(now)
        return not self._is_rate

    def _forget_rate(self, now: float) -> None:
        """Resume at full speed: the refusals were not about a rate."""
        self._constancy.forget()
        self._scatter.forget()
        self.throttle = None
        self._budget.forget_refusals(now)
        self._is_rate = False

    def _pause(self, permit: Permit, feedback: Feedback, now: float) -> list[Change]:
        """Pause the queue for a refusal, once for each episode, and learn from it."""
        cooldown = self.cooldown
        delay = None if permit.verdict is Verdict.UNTESTED else feedback.delay
        episode = cooldown.on_refusal(now, permit.granted_at, delay, self._rng)
        changes: list[Change] = list(
            self._budget.report(
                permit.reservation,
                feedback,
                now,
                resumes_at=cooldown.until,
                is_new_episode=episode.is_new,
            )
        )
        if episode.is_new:
            self._learn_rate(feedback, now)
            changes.append(Pause(episode.seconds))
        return changes

    def _learn_rate(self, feedback: Feedback, now: float) -> None:
        """Learn a rate from the first refusal of an episode, where no limit on requests is set."""
        if feedback.strain is not None:
            return
        if any(level.dimension == "requests" for level in self._budget.levels(now)):
            return
        if self.throttle is None:
            self.throttle = Throttle(self._evidence.goodput(now), now)
        self.throttle.on_refusal(now, admitted=self._admitted, resumes_at=self.cooldown.until)

    def _slow_down(self, now: float) -> None:
        """Resume at a lower speed, and rise slowly."""
        rates = [level.per_second for level in self._budget.levels(now)]
        shares = self._bottleneck.shares(rates, now)
        until = self.cooldown.on_overload(now, max(shares, default=1.0))
        self._budget.slow_down(until, now)

    def _is_crowded_by(self, finding: LoadFinding, permit: Permit, feedback: Feedback) -> bool:
        """Return whether the number in flight is what a refusal is about."""
        follows = finding.follows
        if follows is False:
            self._is_crowded = False
            if self._replaced is not None:  # it was taken for the number in flight
                self.concurrency, self._replaced = self._replaced, None
        if feedback.strain is Strain.QUEUE_FULL:
            return follows is not False
        if not self._is_crowded and _is_bare(feedback) and not self._scatter.is_dense:
            return False  # a few may have been refused by chance
        is_full = permit.was_full or finding.bursts >= _FEWEST_BURSTS
        return bool(follows) and finding.refused >= _FEWEST_ABOVE and is_full

    def _drop(self, permit: Permit, load: int, now: float) -> None:
        """Send fewer at once: the server had no room for *permit*, which made *load*."""
        if not self._is_crowded:
            self._is_crowded = True
            self.throttle = None  # it was no rate
            self._budget.forget_refusals(now)
        concurrency = self.concurrency
        is_far = concurrency.limit > _FAR_ABOVE * load and not permit.was_full
        if not concurrency.learns or is_far:
            most = concurrency.limit
            start = max(1, min(most, load))
            self._replaced = concurrency
            self.concurrency = concurrency = AdaptiveLimit(start=start, most=most)
            permit.token = concurrency.sent(now, start, True)
        if permit.token is not None:
            concurrency.dropped(permit.token)
            permit.token = None
