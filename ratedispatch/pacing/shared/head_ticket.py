"""
A place among the heads of all queues: what was taken for a request, and when it may go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.limits import Rate
    from ratedispatch.pacing.bucket import Bucket
    from ratedispatch.pacing.budget import Reservation
    from ratedispatch.pacing.limit.tracked import TrackedLimit

#: A share of a burst by which rounding may miss.
_ROUNDING = 1e-9


class Ticket:
    """
    What was taken from shared buckets for one request that waits.

    Taken at once, into debt if need be; it may go when the debt is paid. What others take after
    it does not matter to it: their debt comes on top.

    Args:
        reservation: What is handed out when it goes.
        buckets: What it was taken from, in the order of its amounts.

    Attributes:
        reservation: As given.
        is_known: Whether the store has said when it may go.
    """

    __slots__ = ("_at", "_buckets", "_debts", "is_known", "reservation")

    def __init__(self, reservation: Reservation, buckets: Sequence[Bucket]) -> None:
        self.reservation = reservation
        self._buckets = buckets
        self._debts: list[float] = []
        self._at = 0.0
        self.is_known = False

    def stand(self, now: float, limits: Sequence[TrackedLimit]) -> None:
        """Take its place behind everything that *limits* have let through by *now*; mark that."""
        self.reservation.marks = [
            (
                limit.account.spent - limit.account.refused,
                limit.account.returned,
                None if limit.ledger is None else limit.ledger.position(),
            )
            for limit in limits
        ]
        amounts = self.reservation.amounts
        self._debts = [
            -bucket.available(now) - bucket.owed(amount)
            for bucket, amount in zip(self._buckets, amounts, strict=True)
        ]
        self._at = now
        self.is_known = True

    def wait(self, now: float) -> tuple[float, Rate]:
        """Return the seconds until it may go, at the speed of now, and the limit it waits for."""
        elapsed = max(0.0, now - self._at)
        self._at = max(self._at, now)
        longest, scarcest = 0.0, self._buckets[0]
        debts = self._debts
        for place, bucket in enumerate(self._buckets):
            debts[place] = debt = debts[place] - elapsed * bucket.flow
            if debt > bucket.rate.burst * _ROUNDING and debt / bucket.flow > longest:
                longest, scarcest = debt / bucket.flow, bucket
        return longest, scarcest.rate
