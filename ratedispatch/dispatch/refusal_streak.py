"""
Measures how long a server has only refused.

A refusal says that the server will answer later, so the queue pauses and tries again. A server that
refuses forever breaks this promise: without a limit, every request of a file would be sent a
hundred times. Depends only on the instants that it is given, in seconds.
"""

from __future__ import annotations

from ratedispatch.dispatch.breaker_waits import DEFAULT_TUNING


class RefusalStreak:
    """
    The refusals since the last answer, and how long they have lasted.

    Args:
        patience: Seconds for which a server may only refuse, in addition to the longest wait that
            it has advised. That wait is added only once, because a server that advises it again
            and again does not keep its promise.
    """

    __slots__ = ("_advised", "_answered", "_last", "_patience", "_since")

    def __init__(self, patience: float = DEFAULT_TUNING.patience_seconds) -> None:
        self._patience = patience
        self._answered = -1
        self._since = self._last = self._advised = 0.0

    def refused(self, now: float, answered: int, advised: float) -> float | None:
        """
        Add a refusal.

        Args:
            now: When it came, in seconds.
            answered: The number of the latest attempt that was answered.
            advised: The wait that it advises, in seconds; 0 for none.

        Returns:
            The seconds since the first refusal of the streak once that is too long; else None.
        """
        bound = self._patience + self._advised
        if answered != self._answered or now - self._last > bound:  # else there was nothing to ask
            self._answered, self._since, self._advised = answered, now, 0.0
            bound = self._patience
        self._last = now
        self._advised = max(self._advised, advised)
        lasted = now - self._since
        return lasted if lasted > bound else None
