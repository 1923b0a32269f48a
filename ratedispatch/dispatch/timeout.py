"""
How long an attempt may take: a number of seconds that follows the latencies seen.

Knows no requests and does not wait.

A server that has answered a hundred requests within six seconds and leaves one open for a
minute will no longer answer it; waiting the SDK's ten minutes for it only delays the end.
"""

from __future__ import annotations

import math

#: The openai SDK's own default, in seconds.
LONGEST_SECONDS = 600.0

#: Never less than this after so many answers, and never less than ten times the slowest of them:
#: cutting off an answer that would have come bills it twice.
_SHORTEST_SECONDS = ((100, 60.0), (20, 180.0))
_TIMES_SLOWEST = 10.0


#: Answers from which on only a slower one changes the bound.
_SETTLED = _SHORTEST_SECONDS[0][0]


class AdaptiveTimeout:
    """
    The longest an attempt may take.

    Args:
        fixed: Seconds, if the user has said a number; otherwise it is learned.

    Attributes:
        usual: What :meth:`allowed` returns for a request without time-outs.
        settled_up_to: Latencies up to this many seconds change nothing and need no :meth:`record`.
    """

    __slots__ = ("_count", "_fixed", "_slowest", "_told", "settled_up_to", "usual")

    def __init__(self, fixed: float | None = None) -> None:
        self._fixed = fixed
        self._count = 0
        self._slowest = 0.0
        self._told = self.usual = self.allowed()
        self.settled_up_to = -1.0 if fixed is None else math.inf

    def record(self, latency: float) -> bool:
        """
        Count an answer that took *latency* seconds.

        Returns:
            Whether the bound has moved so far that what is in flight should be held to the new
            one: down, or up by a tenth. With thousands in flight that is dear.
        """
        self._count += 1
        self._slowest = max(self._slowest, latency)
        bound = self.usual = self.allowed()
        if self._count >= _SETTLED:
            self.settled_up_to = self._slowest
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
        for enough, shortest in _SHORTEST_SECONDS:
            if self._count >= enough:
                bound = max(shortest, _TIMES_SLOWEST * self._slowest)
                return min(LONGEST_SECONDS, bound * 2.0**timeouts)
        return LONGEST_SECONDS
