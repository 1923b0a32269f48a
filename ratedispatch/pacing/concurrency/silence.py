"""
How long requests have waited for room while nothing was answered.

Decides when a silence has lasted too long to be explained by how fast the server is. Knows no limit
and does not wait.
"""

from __future__ import annotations


class Silence:
    """
    The silence of a server while room is what is short.

    Args:
        patience_s: At least so many seconds are explained.
        newest: Seconds that the newest answer took, which explain as long a silence; 0 if there is
            none.

    Attributes:
        since: When it began, in seconds of loop time; None while room is not what is short.
        newest: As the argument of this name.
    """

    __slots__ = ("_patience_s", "newest", "since")

    def __init__(self, patience_s: float, newest: float) -> None:
        self._patience_s = patience_s
        self.newest = newest
        self.since: float | None = None

    def left(self, now: float) -> float:
        """
        Note that room is short; return for how many seconds longer silence is explained.

        When none are left, it begins anew.
        """
        patience = max(self._patience_s, self.newest)
        if self.since is None:
            self.since = now
        left = self.since + patience - now
        if left < -patience / 2:  # this process stood still, and answers may lie unread
            left = patience
        if left <= 0 or left == patience:
            self.since = now
        return max(0.0, left)
