"""
A place among the heads of all queues: what was taken for a request, and when it may go.
"""

from __future__ import annotations

from operator import add, gt, sub
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.account import counts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.limits import Rate
    from ratedispatch.pacing.budget import Mark, Reservation
    from ratedispatch.pacing.limit.tracked import TrackedLimit
    from ratedispatch.request import Cost

#: A share of a burst by which rounding may miss.
_ROUNDING = 1e-9

_NO_ANSWERS = (0.0,) * 6


class Ticket:
    """
    What was taken from shared limits for one request that waits, and for some that follow it.

    Taken at once, into debt if need be; it may go when the debt is paid, less what was taken for
    those behind it. What others take later does not matter to it: their debt comes on top.

    Args:
        reservation: What is handed out when it goes.
        limits: What it was taken from, in the order of its amounts.
        followers: Requests that follow, for which something is taken, too.

    Attributes:
        reservation: The argument of this name.
        rest: What was taken for those that follow, in the same order.
        is_known: Whether the store has said when it may go.
    """

    __slots__ = (
        "_at",
        "_counts",
        "_debts",
        "_followers",
        "_limits",
        "is_known",
        "reservation",
        "rest",
    )

    def __init__(
        self, reservation: Reservation, limits: Sequence[TrackedLimit], followers: int = 0
    ) -> None:
        self.reservation = reservation
        self.rest = [0.0] * len(limits)
        self._limits = limits
        self._followers = followers
        self._counts: list[float] = [0.0] * 5  # of those that follow, by every way of counting
        self._debts: list[float] = []
        self._at = 0.0
        self.is_known = False

    @property
    def held(self) -> list[float]:
        """All that it stands for."""
        return list(map(add, self.reservation.amounts, self.rest))

    @property
    def has_rest(self) -> bool:
        """Whether anything is left for those that follow."""
        return self._followers > 0

    def take_rest(self, means: Sequence[float], now: float) -> None:
        """Take for those that follow what requests took of each limit on average."""
        count = self._followers
        self._counts = [count * one for one in counts_of(self.reservation.cost)]
        self.rest = [count * mean for mean in means]
        for limit, amount in zip(self._limits, self.rest, strict=True):
            limit.bucket.debit(amount, now)
            limit.account.spent += amount
            if limit.ledger is not None:
                limit.ledger.add((*self._counts, *_NO_ANSWERS))

    def give_rest(self, now: float) -> None:
        """Give back what is left of it."""
        for limit, amount in zip(self._limits, self.rest, strict=True):
            limit.bucket.credit(amount, now)
            limit.account.spent -= amount
            if limit.ledger is not None:
                limit.ledger.add((*[-one for one in self._counts], *_NO_ANSWERS))
        self.rest = [0.0] * len(self.rest)
        self._counts = [0.0] * 5
        self._followers = 0

    def is_for(self, cost: Cost) -> bool:
        """Whether it pays for *cost*, and for nothing more; then it is that one's."""
        reservation = self.reservation
        if reservation.cost is cost:
            return True
        amounts = [limit.amount_of(cost) for limit in self._limits]
        if amounts != reservation.amounts:
            return False
        reservation.cost = cost
        return True

    def pays(self, amounts: Sequence[float]) -> bool:
        """Whether what is left pays for a request of *amounts*."""
        return self._followers > 0 and not any(map(gt, amounts, self.rest))

    def stand(self, now: float) -> None:
        """Take its place behind everything that the limits have let through by *now*."""
        self._debts = [-limit.bucket.available(now) for limit in self._limits]
        self._at = now
        self.is_known = True

    def mark(self) -> None:
        """Note what had been charged when it goes: all that stands before it, and itself."""
        marks: list[Mark] = []
        for limit, amount in zip(self._limits, self.rest, strict=True):
            account, ledger = limit.account, limit.ledger
            position = None
            if ledger is not None:
                sums = ledger.position()
                position = (*map(sub, sums[:5], self._counts), *sums[5:])
            marks.append((account.spent - account.refused - amount, account.returned, position))
        self.reservation.marks = marks

    def marks_after(
        self, cost: Cost, amounts: Sequence[float], limits: Sequence[TrackedLimit], now: float
    ) -> list[Mark]:
        """Return the marks of a request of *cost* that goes right after this one."""
        counts = counts_of(cost)
        marks: list[Mark] = []
        places = zip(limits, amounts, self.reservation.marks, strict=True)
        for limit, amount, (charged, _, before) in places:
            account, ledger = limit.account, limit.ledger
            account.spend(amount, now, limit.bucket.per_second)
            account.spent -= amount  # it was taken before
            position = None
            if ledger is not None and before is not None:
                position = (*map(add, before[:5], counts), *ledger.position()[5:])
            marks.append((charged + amount, account.returned, position))
        return marks

    def follow(self, reservation: Reservation) -> Ticket:
        """Return the ticket of *reservation*, which this one's rest pays for."""
        follower = Ticket(reservation, self._limits, self._followers - 1)
        follower.rest = list(map(sub, self.rest, reservation.amounts))
        follower._counts = list(map(sub, self._counts, counts_of(reservation.cost)))
        follower._debts, follower._at, follower.is_known = self._debts, self._at, True
        return follower

    def wait(self, now: float) -> tuple[float, Rate]:
        """Return the seconds until it may go, at the speed of now, and the limit it waits for."""
        elapsed = max(0.0, now - self._at)
        self._at = max(self._at, now)
        longest, scarcest = 0.0, self._limits[0]
        debts, rest, amounts = self._debts, self.rest, self.reservation.amounts
        for place, limit in enumerate(self._limits):
            bucket = limit.bucket
            flow = bucket.flow
            debts[place] = debt = debts[place] - elapsed * flow
            lacking = debt - rest[place] - bucket.owed(amounts[place])
            if lacking > bucket.rate.burst * _ROUNDING and lacking / flow > longest:
                longest, scarcest = lacking / flow, limit
        return longest, scarcest.rate
