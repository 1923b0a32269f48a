"""
The budget: the interface between a queue and its buckets.

A `Budget` holds amounts and nothing else: no queue, no waiting, no clock, no event loop. It
answers immediately and can be called from several threads. It debits all dimensions of a cost, or
none.
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
    What was debited for one attempt. It is reported exactly once.

    Args:
        cost: The requested cost.
        at: When it was made, in seconds of the caller's clock.
        amounts: The cost in each dimension of the budget.
        marks: What had been charged in each dimension so far, this reservation included, and how
            much of that had been returned unused; and the same for every way of counting.
        number: The number of reservations so far, this one included.
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
        wait: Seconds until it can be paid, as far as known now.
        rate: The limit that takes longest.
    """

    wait: float
    rate: Rate


class Budget(Protocol):
    """The budget of one route: local to this process, or a copy of a shared one."""

    def check(self, cost: Cost, name: Callable[[], str]) -> None:
        """
        Raise :class:`~ratedispatch.CostExceedsLimit` if *cost* can never be paid.

        *name* returns the name of the request for the message.
        """

    def reserve(self, cost: Cost, now: float, speed: float = 1.0) -> Reservation | NotUntil:
        """
        Debit *cost* in every dimension, or return how long it takes until that is possible.

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
        Close *reservation*, learn from its attempt, and return what has changed.

        Args:
            reservation: As `reserve` returned it.
            feedback: What the attempt has shown.
            now: Seconds of the same clock.
            resumes_at: When the queue resumes after a refusal.
            is_new_episode: Whether that refusal is the first of its episode.
        """

    def slow_down(self, until: float, now: float) -> None:
        """
        Spend nothing of what has accumulated at the provider before *until*.

        Args:
            until: An instant in seconds.
            now: Seconds of the same clock.
        """

    def forget_refusals(self, now: float) -> None:
        """
        Discard the rates learned from refusals, which turned out to have another cause.

        Args:
            now: Seconds of the same clock.
        """

    def granted(self) -> Sequence[float]:
        """Return what was reserved in each dimension since the start, given back or not."""

    def levels(self, now: float) -> tuple[Level, ...]:
        """Return the state of each bucket at *now*, in the order of :meth:`granted`."""
