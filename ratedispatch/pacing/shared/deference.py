"""
What a process may spend while requests with a higher priority wait in other processes.

It may spend what those leave. Once it has received nothing for long, it may also spend a small
share of what they take, like the lower priorities in one queue. Pure in the instants it is given.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ratedispatch.pacing.ageing import DEFAULT_AGEING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.ageing import AgeingTuning

#: Seconds without a question after which a process wants nothing: it asks a few times a second.
_LATELY_SECONDS = 1.0


class Deference:
    """
    How long a process has held back, and which share its age earns.

    Args:
        tuning: After which wait a share is earned, and how large it is.
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
        Return whether its age has earned a place in the line; if so, count it as used.

        Args:
            amounts: Shape (dimensions,), what the request costs in each.
            place: The index of the scarcest dimension.
            others: Shape (dimensions,), what others have taken of each so far.
            wanting: How many processes want something; those that wait divide one share.
            now: The instant in seconds.
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
        """Note that the process need not hold back any more, or was granted something anyway."""
        self._asked_at = -math.inf
