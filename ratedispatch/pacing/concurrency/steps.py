"""
How far a number in flight moves along the slope of the throughput, and how long it rests between.

Decides from one elasticity after another. Knows no number and no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.pacing.concurrency.adaptive_tuning import AdaptiveTuning


class Steps:
    """
    The steps of a climb.

    Where it turns back, or may not go on, it is near the best: it rests twice as long before it
    looks again, as the numbers beside it are worse.

    Args:
        tuning: The constants.

    Attributes:
        rest: Readings to rest for before the next pair.
    """

    __slots__ = ("_last", "_tuning", "rest")

    def __init__(self, tuning: AdaptiveTuning) -> None:
        self._tuning = tuning
        self.rest = tuning.readings_at_centre
        self._last = 0.0

    def turn(self) -> None:
        """Forget in which direction the last step went."""
        self._last = 0.0

    def look_soon(self) -> None:
        """Rest no longer than at first."""
        self.rest = self._tuning.readings_at_centre

    def next(self, elasticity: float, *, is_bound: bool) -> float:
        """
        Return the next step as ln, twice as far if it goes in the same direction as the one before.

        Args:
            elasticity: What the last pair showed.
            is_bound: Whether the number may not be raised.
        """
        tuning = self._tuning
        step = tuning.gain_ln * (elasticity - tuning.worthwhile_elasticity)
        goes_on = step * self._last > 0
        if (is_bound and step > 0) or not goes_on:
            self.rest = min(2 * self.rest, tuning.most_readings_at_centre)
        else:
            self.rest = tuning.readings_at_centre
        self._last = step
        return 2 * step if goes_on else step
