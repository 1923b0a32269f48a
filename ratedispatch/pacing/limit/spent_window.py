"""
What has been spent of a window at whose end a counter starts over.

Knows neither its end nor what a server says of it.
"""

from __future__ import annotations

from math import inf


class SpentWindow:
    """
    The account of one window.

    Attributes:
        left: What may still be sent in it; infinite while nothing is known.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = inf

    def spend(self, amount: float) -> None:
        """Take *amount* off what is left."""
        self.left -= amount

    def give(self, amount: float) -> None:
        """Give *amount* back, which was not sent."""
        self.left += amount
