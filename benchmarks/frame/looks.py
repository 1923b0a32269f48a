"""
What a progress display showed of one job, second by second, and how far off that was.
"""

from __future__ import annotations

from typing import NamedTuple

#: Seconds from the beginning after which what is shown counts.
FIRST_SECOND = 5.0

#: The furthest that the total may be off.
MOST_OFF = 0.10

#: Seconds that must be left for the rest to be compared by itself.
_LEAST_LEFT = 5.0


class Look(NamedTuple):
    """What the display showed at one second; None for nothing."""

    second: float
    eta: float | None


class Watched(NamedTuple):
    """
    What was shown of one job.

    Args:
        number: Of the job.
        text: Of the job.
        seconds: What it took.
        looks: What was shown.
    """

    number: int
    text: str
    seconds: float
    looks: tuple[Look, ...]

    @property
    def off(self) -> float:
        """How far off the end was at worst, as a share of the time of the whole."""
        return max(self.errors, default=0.0)

    @property
    def errors(self) -> list[float]:
        """|second + shown − whole| / whole, of each second that counts."""
        return [
            1.0 if eta is None else abs(second + eta - self.seconds) / self.seconds
            for second, eta in self.looks
            if second >= FIRST_SECOND
        ]

    @property
    def off_left(self) -> float:
        """|shown − left| / left at worst, where more than five seconds were left."""
        found = [
            1.0 if eta is None else abs(eta - (self.seconds - second)) / (self.seconds - second)
            for second, eta in self.looks
            if second >= FIRST_SECOND and self.seconds - second > _LEAST_LEFT
        ]
        return max(found, default=0.0)
