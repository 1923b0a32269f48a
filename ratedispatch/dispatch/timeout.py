"""
How long an attempt may take.

Decides a number of seconds from the latencies seen. Knows no requests and does not wait.

A server that has answered a hundred requests within six seconds and leaves one open for a
minute will not answer it any more; waiting the SDK's ten minutes for it only delays the end.
"""

from __future__ import annotations

#: The openai SDK's own default, in seconds.
LONGEST = 600.0

#: Never less than this after so many answers, and never less than ten times the slowest of them:
#: cutting off an answer that would have come bills it twice.
_SHORTEST = ((100, 60.0), (20, 180.0))
_FACTOR = 10.0


class Patience:
    """
    The longest an attempt may take.

    Args:
        fixed: Seconds, if the user has said a number; otherwise it is learned.
    """

    __slots__ = ("_count", "_fixed", "_slowest", "_told")

    def __init__(self, fixed: float | None = None) -> None:
        self._fixed = fixed
        self._count = 0
        self._slowest = 0.0
        self._told = self.allowed()

    def record(self, latency: float) -> bool:
        """
        Take in the *latency* of an answer in seconds.

        Returns:
            Whether the bound has moved so far that what is in flight should be held to the new
            one: down, or up by a tenth. With thousands in flight that is dear.
        """
        self._count += 1
        self._slowest = max(self._slowest, latency)
        bound = self.allowed()
        if self._told <= bound <= 1.1 * self._told:
            return False
        self._told = bound
        return True

    def allowed(self, timeouts: int = 0) -> float:
        """
        Return the seconds an attempt may take.

        Args:
            timeouts: Attempts of the same request that have timed out already. Each doubles
                what it is given, in case it really is that much slower than the others.
        """
        if self._fixed is not None:
            return self._fixed
        for enough, shortest in _SHORTEST:
            if self._count >= enough:
                return min(LONGEST, max(shortest, _FACTOR * self._slowest) * 2.0**timeouts)
        return LONGEST
