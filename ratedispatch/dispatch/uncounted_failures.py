"""
For how long failures of a server count against no request, because all or most meet them.

Pure: depends only on the instants that it is given, in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision

if TYPE_CHECKING:
    from ratedispatch.dispatch.breaker_waits import BreakerTuning
    from ratedispatch.dispatch.streak import Streak
    from ratedispatch.outcome import Interpretation


class UncountedFailures:
    """
    Decides which failures are not counted, by how long most requests or all of them have failed.

    Args:
        streak: What has failed since the last answer.
        tuning: The constants.
    """

    __slots__ = ("_dark_since", "_streak", "_troubled_since", "_tuning")

    def __init__(self, streak: Streak, tuning: BreakerTuning) -> None:
        self._streak = streak
        self._tuning = tuning
        self._dark_since: float | None = None
        self._troubled_since: float | None = None

    def answered(self) -> None:
        """Something was really answered."""
        self._dark_since = None

    def failed(self, now: float) -> None:
        """A failure came that says something about others."""
        if self._dark_since is None:
            self._dark_since = now

    def dark(self, now: float) -> float:
        """Return the seconds since the first failure after the last answer."""
        return 0.0 if self._dark_since is None else now - self._dark_since

    def in_the_dark(self, now: float) -> bool:
        """Return whether several have failed, nothing was answered since, and not for too long."""
        return self._streak.is_dark and self.dark(now) <= self._tuning.dark_seconds

    def in_trouble(self, result: Interpretation, now: float) -> bool:
        """Return whether most others end as *result* does, though some may be answered."""
        is_long = self.dark(now) > self._tuning.dark_seconds
        if result.decision is not Decision.TRANSIENT or not self._streak.is_troubled or is_long:
            self._troubled_since = None
            return False
        if self._troubled_since is None:
            self._troubled_since = now
        return now - self._troubled_since < self._tuning.patience_seconds
