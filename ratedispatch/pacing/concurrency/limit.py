"""
How many attempts may be in flight: the seam, and the number that never changes.

A `ConcurrencyLimit` knows no rates. The admission tells it what leaves and what is answered.
"""

from __future__ import annotations

import math
from typing import Any, Protocol


class ConcurrencyLimit(Protocol):
    """
    What decides how many may be in flight.

    Attributes:
        learns: Whether it wants to know what leaves and what is answered.
    """

    learns: bool

    @property
    def limit(self) -> int:
        """How many may be in flight now."""

    def full(self, now: float) -> float:
        """
        Note that a request waits for nothing but room; return the seconds until it may rise.

        They are infinite where it does not rise by itself.
        """

    def sent(self, now: float, in_flight: int, is_full: bool) -> Any:
        """
        Note that an attempt leaves; return what to give back when it ends, or None.

        Args:
            now: The instant in seconds.
            in_flight: How many are in flight with it.
            is_full: Whether others wait for nothing but room.
        """

    def ended(self, token: Any, now: float) -> None:
        """Note that the attempt was answered."""

    def dropped(self, token: Any) -> None:
        """Note that the attempt was refused for want of room."""


class FixedLimit:
    """
    A number that never changes.

    Args:
        limit: How many may be in flight, at least 1.
    """

    __slots__ = ("limit",)

    learns = False

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"the number in flight must be at least 1, not {limit}")
        self.limit = limit

    def full(self, now: float) -> float:  # noqa: ARG002 - it knows no time
        """Return infinity: it never rises."""
        return math.inf

    def sent(self, now: float, in_flight: int, is_full: bool) -> None:
        """Remember nothing."""

    def ended(self, token: object, now: float) -> None:
        """Learn nothing."""

    def dropped(self, token: object) -> None:
        """Learn nothing."""
