"""
What a process may spend while requests with a higher priority wait in other processes.

What those leave, and once it has got nothing for long, a small share of what they take: as the
lower priorities in one queue do. Pure in the instants that it is handed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ratedispatch.pacing.ageing import DEFAULT_AGEING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.ageing import AgeingTuning

#: Seconds after which one that asks no more is taken to want nothing: it asks a few times a second.
_LATELY_SECONDS = 1.0


class Deference:
    """
    How long a process has held back, and what it may have for that.

    Args:
        tuning: When a share for its age begins, and how much it is.
    """

    __slots__ = ("_asked_at", "_marks", "_since", "_tuning")

    def __init__(self, tuning: AgeingTuning = DEFAULT_AGEING) -> None:
        self._tuning = tuning
        self._since = 0.0
        self._asked_at = -math.inf  # when it was held back last
        self._marks: list[float] | None = None  # what others had taken; None before it has aged

    def waits(self, now: float) -> bool:
        """Whether something is held back here."""
        return now - self._asked_at <= _LATELY_SECONDS

    def may_stand(
        self,
        amounts: Sequence[float],
        place: int,
        others: Sequence[float],
        wanting: int,
        now: float,
    ) -> bool:
        """
        Return whether its age pays for a place in the line, and count it as taken then.

        Args:
            amounts: What the request costs in each dimension.
            place: The dimension that is scarcest.
            others: What others have taken of each so far.
            wanting: Processes that want something: those that wait share one share.
            now: The instant.
        """
        if not self.waits(now):
            self._since, self._marks = now, None
        self._asked_at = now
        if now - self._since < self._tuning.after_seconds:
            return False
        if self._marks is None:
            self._marks = list(others)
        share = self._tuning.share / max(1, wanting - 1)
        if (others[place] - self._marks[place]) * share < amounts[place]:
            return False
        self._marks = list(others)
        return True

    def end(self) -> None:
        """Note that it need not hold back any more, or that it got something all the same."""
        self._asked_at = -math.inf
