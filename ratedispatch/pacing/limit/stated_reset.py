"""
Decides what a reset is the reset of, where a limit comes without the window that it is for.

``x-ratelimit-limit: 100`` may be for a second or for an hour; only the time to the reset tells. A
bucket that refills is full again then: the less is left in it, the longer that takes. A counter
starts over as a whole: the time falls while it is used up, and jumps up together with what is left.
The longest time that a counter has told is its window. Until it is known which of the two it is,
the limit says nothing about the rate. Pure; knows no instants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.limits import Reading


#: Seconds by which the longest time may be less than a second too long, and still be cut.
_ROUNDING = 0.5


@dataclass(frozen=True, slots=True)
class ResetTuning:
    """
    What can be tuned of the decision.

    Args:
        error_seconds: Seconds by which the difference of two times may be wrong: each is compared
            with a ``date`` in whole seconds.
    """

    error_seconds: float = 1.5


_TUNING = ResetTuning()


class StatedReset:
    """
    The resets of one limit.

    Attributes:
        is_counter: Whether it starts over as a whole; None while that is not known.
    """

    __slots__ = ("_first", "_longest", "_tuning", "is_counter")

    def __init__(self, tuning: ResetTuning = _TUNING) -> None:
        self.is_counter: bool | None = None
        self._tuning = tuning
        self._longest = 0.0
        self._first: tuple[float, float] | None = None  # what was left, and the time to the reset

    def judged(self, reading: Reading) -> Reading | None:
        """Return *reading*, which states a reset, as it is meant; None while that is not known."""
        reset, remaining = reading.reset, reading.remaining
        if reset is None or remaining is None:
            return None
        self._longest = max(self._longest, reset)
        if self.is_counter is None:
            left, until = self._first = self._first or (remaining, reset)
            if abs(reset - until) <= self._tuning.error_seconds or remaining == left:
                return None
            self.is_counter = (remaining < left) == (reset < until)
        if not self.is_counter:
            return reading
        # the longest of many is up to a second too long
        period = max(1.0, float(math.floor(self._longest - _ROUNDING)))
        return replace(reading, window=None, period=period, ends_in=reset)
