"""
What one process has taken from shared limits and not sent: a ticket, and the rest of the last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.pacing.budget import Reservation
from ratedispatch.pacing.shared.head_ticket import Ticket
from ratedispatch.pacing.shared.means import Means

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.pacing.limit.tracked import TrackedLimit
    from ratedispatch.pacing.shared.limit_copy import LimitCopy
    from ratedispatch.request import Cost

#: Seconds after which what was taken for those that follow is given back, if none does.
_IDLE_SECONDS = 0.1


class HeadLine:
    """
    The place of one process among the heads of all queues.

    Args:
        limits: The limits of this process.
        copies: The copies of these limits, which know what to report.

    Attributes:
        ticket: The ticket of the request that waits; None if none does.
    """

    def __init__(self, limits: Sequence[TrackedLimit], copies: Sequence[LimitCopy]) -> None:
        self._limits = limits
        self._copies = copies
        self._means = Means(len(limits))
        self._nothing = [0.0] * len(limits)
        self._last: Ticket | None = None  # that has gone, and has a rest
        self.ticket: Ticket | None = None

    @property
    def held(self) -> Sequence[float]:
        """What was taken of each limit and is not sent."""
        if self.ticket is not None:
            return self.ticket.held
        return self._nothing if self._last is None else self._last.rest

    def is_idle(self, now: float) -> bool:
        """Whether a rest is kept that nobody has wanted for a while."""
        last = self._last
        return last is not None and now - last.reservation.at > _IDLE_SECONDS

    def take(
        self, cost: Cost, now: float, number: int, followers: Callable[[float], int]
    ) -> Ticket:
        """
        Take *cost* from the copies, into debt if need be, and what some that follow may cost.

        Args:
            cost: The cost of the request that waits.
            now: The instant.
            number: The number of its reservation.
            followers: Returns for how many following requests to take, at a rate per second.
        """
        amounts, marks = [], []
        for limit in self._limits:
            amount = limit.amount_of(cost)
            amounts.append(amount)
            marks.append(limit.spend(amount, now, cost))
        reservation = Reservation(cost, now, amounts, marks, number)
        means = self._means
        means.add(amounts)
        count = followers(means.per_second(self._limits))
        count = min(count, means.most_of_a_day(self._limits, now)) if count else 0
        ticket = Ticket(reservation, self._limits, count)
        if ticket.has_rest:
            ticket.take_rest(means.amounts, now)
        self.ticket = ticket
        return ticket

    def draw(self, cost: Cost, now: float, number: int) -> Ticket | None:
        """Return a ticket for *cost* that the rest of the last one pays for; None if it cannot."""
        last = self._last
        if last is None:
            return None
        amounts = [limit.amount_of(cost) for limit in self._limits]
        if not last.pays(amounts):
            return None
        marks = last.marks_after(cost, amounts, self._limits, now)
        self.ticket = last.follow(Reservation(cost, now, amounts, marks, number))
        self._last = None
        return self.ticket

    def go(self) -> None:
        """Let the request that waits go; keep what is left for those that follow."""
        ticket, self.ticket = self.ticket, None
        self._last = ticket if ticket is not None and ticket.has_rest else None

    def give_back(self, now: float, *, is_taken: bool = True) -> None:
        """
        Give back all that is held.

        *is_taken* is whether the store has it set aside still.
        """
        ticket, self.ticket = self.ticket, None
        last, self._last = self._last, None
        if ticket is not None:
            reservation = ticket.reservation
            for copy, amount in zip(self._copies, reservation.amounts, strict=True):
                copy.limit.refund(amount, now, reservation.cost)
                if not is_taken:
                    copy.unpaid -= amount
        for one in (ticket, last):
            if one is not None:
                for copy, amount in zip(self._copies, one.rest, strict=True):
                    if not is_taken:
                        copy.unpaid -= amount
                one.give_rest(now)
