"""
What refusals do in the model of a queue: the brake of the engine, before modelled limits.

Answers are told to it only when a refusal comes: until then nothing depends on them, and the
latest few are all that it looks at.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ratedispatch.pacing.brake import Brake
from ratedispatch.pacing.budget import Reservation
from ratedispatch.pacing.evidence import EvidenceTuning
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.pacing.permit import Permit
from ratedispatch.pacing.snapshot import Level

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ratedispatch.limits import Reading
    from ratedispatch.pacing.bottleneck import BottleneckClock
    from ratedispatch.pacing.concurrency.limit import ConcurrencyLimit
    from ratedispatch.pacing.feedback import Change, Strain, Verdict
    from ratedispatch.simulate.forecast.modelled_limit import ModelledLimit
    from ratedispatch.simulate.forecast.modelled_readings import Mark

_STANDARD = ("requests", "tokens")


class Attempt(NamedTuple):
    """
    A request that was sent.

    Args:
        number: How many were sent by then, this one included.
        place: The place of its row, in the order in which rows are read.
        sent_at: When.
        marks: Where it stands in each limit.
        load: How many were in flight with it.
        was_full: Whether it had waited for nothing but room.
        token: What the search for the number in flight wants back; None for nothing.
    """

    number: int
    place: int
    sent_at: float
    marks: Sequence[Mark]
    load: int
    was_full: bool
    token: Any = None


class ModelledBudget:
    """
    The limits, as a brake sees them. Follows `ratedispatch.pacing.budget.Budget` as far as needed.

    Attributes:
        limits: All of them.
        newest: The number of the newest request of which the answer was read.
        is_resuming: Whether the next request is the first after a pause.
    """

    def __init__(self, limits: Sequence[ModelledLimit]) -> None:
        self.limits = limits
        self.newest = 0
        self.is_resuming = False

    def report(
        self,
        reservation: Reservation,
        feedback: Feedback,
        now: float,
        *,
        resumes_at: float | None = None,
        is_new_episode: bool = False,
    ) -> Sequence[Change]:
        """Take a refusal into account; of an answer that was done before."""
        if feedback.end is not End.REFUSED:
            return ()
        marks = cast("Sequence[Mark]", reservation.marks)
        is_news = bool(feedback.readings) and reservation.number >= self.newest
        if is_news:
            self.newest = reservation.number
        about = _STANDARD if feedback.dimension is None else (feedback.dimension,)
        for limit, mark in zip(self.limits, marks, strict=True):
            limit.void(mark, now)
            if is_news:
                limit.read(mark, reservation.number, reservation.at, now, is_refused=True)
            if resumes_at is not None:
                self.is_resuming = True
                if is_new_episode and feedback.strain is None and limit.dimension in about:
                    limit.refuse(mark, now)
            if not limit.is_exact:
                limit.settle(mark, 0.0, now)
        return ()

    def slow_down(self, until: float, now: float) -> None:
        """Spend nothing that has piled up at the provider before *until*."""
        for limit in self.limits:
            limit.drop_surplus_until(until, now)

    def forget_refusals(self, now: float) -> None:
        """Do nothing: no rate of a limit that is told is learned from refusals."""

    def levels(self, now: float) -> tuple[Level, ...]:
        """Return what is limited."""
        del now
        return tuple(
            Level(one.dimension, one.most, 0.0, 0.0, per_second=one.most / 60)
            for one in self.limits
        )


class _Clock:
    """Stands for the clock of a bottleneck: while limits bind, all of them is used."""

    def shares(self, rates: Sequence[float], now: float) -> list[float]:
        del now
        return [1.0] * len(rates)


class ModelledBrake(Brake):
    """
    A brake that hears of answers when it needs to.

    Args:
        limits: What may be spent.
        concurrency: How many may be in flight.
        rng: The source of jitter.

    Attributes:
        modelled: The limits as it sees them.
    """

    __slots__ = ("_heard", "modelled")

    def __init__(
        self, limits: Sequence[ModelledLimit], concurrency: ConcurrencyLimit, rng: random.Random
    ) -> None:
        self.modelled = ModelledBudget(limits)
        clock = cast("BottleneckClock", _Clock())
        super().__init__(cast("Any", self.modelled), clock, concurrency, rng)
        self._heard: deque[tuple[Any, ...]] = deque(maxlen=EvidenceTuning().remembered)

    def answered(self, now: float, attempt: tuple[Any, ...]) -> None:
        """Note that an attempt, of which *attempt* has the fields, was answered."""
        self._heard.append((now, attempt))
        if self.cooldown.strikes:
            self._listen()

    def refuse(self, attempt: Attempt, feedback: Feedback, now: float) -> Verdict | None:
        """Take a refusal of *attempt* into account, and return what it is about."""
        self._listen()
        permit = _permit(attempt, attempt.token)
        self.report(permit, feedback, now)
        return permit.verdict

    def _listen(self) -> None:
        for at, fields in self._heard:
            attempt = Attempt(*fields)
            told = Feedback(End.ANSWERED, readings=_SOME, row=attempt.place)
            self.report(_permit(attempt, None), told, at)
        self._heard.clear()


#: Stands for readings where all that counts is that there are some.
_SOME = cast("tuple[Reading, ...]", (None,))


def refusal(
    attempt: Attempt,
    *,
    dimension: str | None = None,
    delay: float | None = None,
    strain: Strain | None = None,
    is_telling: bool = True,
) -> Feedback:
    """
    Return what a refusal of *attempt* says.

    Args:
        attempt: What was refused.
        dimension: The limit that it names; None if it does not.
        delay: Seconds that it asks to wait; None if it does not.
        strain: Why it is about load.
        is_telling: Whether it says what is left.
    """
    readings = _SOME if is_telling else ()
    return Feedback(
        End.REFUSED,
        readings=readings,
        delay=delay,
        dimension=dimension,
        strain=strain,
        row=attempt.place,
    )


def _permit(attempt: Attempt, token: Any) -> Permit:
    reservation = Reservation(
        cast("Any", None), attempt.sent_at, (), cast("Any", attempt.marks), attempt.number
    )
    none = cast("Any", None)
    return Permit(none, reservation, 0.0, token, attempt.load, attempt.was_full)
