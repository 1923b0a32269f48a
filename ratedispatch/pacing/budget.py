"""
What may be spent: the seam between a queue and its buckets.

A `Budget` holds amounts and nothing else: no queue, no waiting, no clock, no event loop. It
answers at once, and is safe to call from several threads. Every dimension of a cost is debited,
or none is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.limits import Rate
    from ratedispatch.pacing.feedback import Change, Feedback
    from ratedispatch.pacing.limit.account import Position
    from ratedispatch.pacing.snapshot import Level
    from ratedispatch.request import Cost

    Mark = tuple[float, float, Position | None]


class Reservation:
    """
    What was debited for one attempt. Reported exactly once.

    Args:
        cost: As it was asked for.
        at: When, in seconds of the caller's clock.
        amounts: The cost in each dimension of the budget.
        marks: What had been charged in each dimension with this reservation, and how much of that
            had come back unused; and the same under every way of counting.
        number: How many reservations there were, this one included.
    """

    __slots__ = ("amounts", "at", "cost", "marks", "number")

    def __init__(
        self,
        cost: Cost,
        at: float,
        amounts: Sequence[float],
        marks: Sequence[Mark],
        number: int,
    ) -> None:
        self.cost = cost
        self.at = at
        self.amounts = amounts
        self.marks = marks
        self.number = number


class NotUntil(NamedTuple):
    """
    A cost that cannot be paid yet. Nothing was debited.

    Args:
        wait: Seconds until it can be paid, as far as can be told now.
        rate: The limit that takes longest.
    """

    wait: float
    rate: Rate


class Budget(Protocol):
    """What one route may spend: local to this process, or leased from a shared one."""

    def check(self, cost: Cost, name: Callable[[], str]) -> None:
        """
        Raise :class:`~ratedispatch.CostExceedsLimit` if *cost* can never be paid.

        *name* returns what the message calls the request.
        """

    def reserve(self, cost: Cost, now: float, speed: float = 1.0) -> Reservation | NotUntil:
        """
        Debit *cost* in every dimension, or tell how long it takes until that is possible.

        Args:
            cost: What to pay.
            now: Seconds of the caller's clock, never less than before.
            speed: The share of the rate that flows in, above 0 and up to 1.
        """

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
        Close *reservation*, learn everything its attempt has said, and return what has changed.

        Args:
            reservation: As `reserve` returned it.
            feedback: What the attempt said.
            now: Seconds of the same clock.
            resumes_at: When the queue goes on after a refusal.
            is_new_episode: Whether that refusal is the first of its episode.
        """

    def slow_down(self, until: float, now: float) -> None:
        """Spend nothing that has piled up at the provider before *until*."""

    def forget_refusals(self, now: float) -> None:
        """Drop what refusals taught of rates: they were about something else."""

    def granted(self) -> Sequence[float]:
        """Return what was reserved in each dimension since the start, given back or not."""

    def levels(self, now: float) -> tuple[Level, ...]:
        """Return the state of each bucket, in the order of :meth:`granted`."""
