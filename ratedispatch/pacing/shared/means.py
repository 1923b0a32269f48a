"""
What requests take on average, and how many of them a limit lets through in a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.limit.tracked import TrackedLimit

#: Requests after which what one took counts for 1/e.
_MEMORY = 16

#: So much of what is left of a day may be set aside for those that follow a request.
_DAY_SHARE = 0.01

_MANY = 1_000_000


class Means:
    """
    The means of what requests took of several limits.

    Args:
        count: The count of limits.

    Attributes:
        amounts: The means, in the order of the limits.
    """

    __slots__ = ("amounts",)

    def __init__(self, count: int) -> None:
        self.amounts = [0.0] * count

    def add(self, amounts: Sequence[float]) -> None:
        """Add what one request took."""
        means = self.amounts
        for place, amount in enumerate(amounts):
            means[place] += (amount - means[place]) / (_MEMORY if means[place] else 1)

    def per_second(self, limits: Sequence[TrackedLimit]) -> float:
        """Return how many such requests *limits* let through in a second; 0 if only a day does."""
        rates = [
            limit.bucket.per_second / mean
            for limit, mean in zip(limits, self.amounts, strict=True)
            if mean and not limit.is_daily
        ]
        return min(rates, default=0.0)

    def most_of_a_day(self, limits: Sequence[TrackedLimit], now: float) -> int:
        """Return for how many such requests a small part of what is left of a day is enough."""
        counts = [
            int(limit.bucket.available(now) * _DAY_SHARE / mean)
            for limit, mean in zip(limits, self.amounts, strict=True)
            if mean and limit.is_daily
        ]
        return max(0, min(counts, default=_MANY))
