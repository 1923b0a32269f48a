"""
What one limit has let through, and what became of it.

Adds up amounts and tells how much of the limit was used. Decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class SpendMark(NamedTuple):
    """
    Where a request stands in the account of one dimension.

    Args:
        sent_at: When the request left, in seconds of the caller's clock.
        number: How many requests had left by then, this one included.
        charged: What had been charged by then, this one included.
        returned: What of that had turned out unused by then.
        amount: What it asked for.
        overtaken: Returns what may have been charged after it though it left shortly before.
        refused: Whether the provider refused it, and so did not charge it.
    """

    sent_at: float
    number: int
    charged: float
    returned: float
    amount: float
    overtaken: Callable[[], float]
    refused: bool = False


class Account:
    """
    The sums of one dimension, in its own unit.

    charged = spent − refused, and used = (spent − last amount) / what flowed in from the first
    request to the last.

    Attributes:
        spent: What went through since the start, less what was given back.
        refused: What of that was refused, and so not charged.
        given_back: What went through but was not sent.
        returned: What of the charged amounts turned out unused.
    """

    __slots__ = (
        "_flowed",
        "_last_amount",
        "_last_at",
        "given_back",
        "refused",
        "returned",
        "spent",
    )

    def __init__(self) -> None:
        self.spent = 0.0
        self.refused = 0.0
        self.given_back = 0.0
        self.returned = 0.0
        self._flowed = 0.0  # at the rate in force, between the first request and the last
        self._last_at: float | None = None
        self._last_amount = 0.0

    def spend(self, amount: float, now: float, per_second: float) -> tuple[float, float]:
        """
        Add *amount*, which goes through *now* while *per_second* flows in.

        Returns:
            What has been charged, this amount included, and what of it has turned out unused.
        """
        self.spent += amount
        last = self._last_at
        if last is not None and now > last:
            self._flowed += (now - last) * per_second
        self._last_at, self._last_amount = now, amount
        return self.spent - self.refused, self.returned

    def refund(self, amount: float) -> None:
        """Take back *amount*, which went through but was not sent."""
        self.spent -= amount
        self.given_back += amount

    @property
    def used(self) -> float | None:
        """
        The share used of what flowed in between the first request and the last, at most 1.

        The last request opens a stretch that is not used up, so it is left out. None before
        the second request.
        """
        if not self._flowed:
            return None
        return min(1.0, max(0.0, self.spent - self._last_amount) / self._flowed)
