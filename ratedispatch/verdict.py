"""
What holds the line back, and how much of each limit is used.

Decides nothing about the line; it keeps the books of the last seconds. Knows causes by name and
instants, no buckets and no requests.
"""

from __future__ import annotations

from collections import deque

#: Seconds over which causes and shares are taken.
WINDOW = 15.0

#: Seconds of a slice of the books.
_SLICE = 1.0

#: Causes that are no limit's. Those of limits are the names of dimensions.
IN_FLIGHT = "in_flight"
PAUSE = "pause"
HOLD = "unreachable"
NOTHING = "nothing_waiting"


class _Slice:
    __slots__ = ("seconds", "since", "spent")

    def __init__(self, since: float, dimensions: int) -> None:
        self.since = since
        self.seconds: dict[str, float] = {}
        self.spent = [0.0] * dimensions


class Books:
    """
    For how long each cause held the line back, and what was spent meanwhile.

    Args:
        dimensions: How many limits there are.
    """

    __slots__ = ("_at", "_began", "_cause", "_dimensions", "_slices", "totals")

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._slices: deque[_Slice] = deque()
        self._cause = NOTHING
        self._at: float | None = None
        self._began = 0.0
        self.totals: dict[str, float] = {}
        """Seconds by cause since the start."""

    def hold(self, cause: str, now: float) -> None:
        """From *now* on it is *cause* that holds the line back."""
        self._advance(now)
        self._cause = cause

    def spend(self, index: int, amount: float, now: float) -> None:
        """Note that *amount* of the limit with number *index* was spent."""
        self._advance(now)
        self._slices[-1].spent[index] += amount

    def binding(self, now: float) -> str:
        """Return the cause that held the line back the longest in the last seconds."""
        self._advance(now)
        seconds: dict[str, float] = {}
        for part in self._slices:
            for cause, time in part.seconds.items():
                seconds[cause] = seconds.get(cause, 0.0) + time
        return max(seconds, key=seconds.__getitem__, default=NOTHING)

    def per_second(self, index: int, now: float) -> float:
        """Return what was spent a second of the limit with number *index*, in the last seconds."""
        self._advance(now)
        span = min(WINDOW, now - self._began)
        if span <= 0:
            return 0.0
        return sum(part.spent[index] for part in self._slices) / span

    def _advance(self, now: float) -> None:
        if self._at is None:
            self._at = self._began = now
            self._slices.append(_Slice(now, self._dimensions))
        last = self._slices[-1]
        elapsed = now - self._at
        if elapsed > 0:
            last.seconds[self._cause] = last.seconds.get(self._cause, 0.0) + elapsed
            self.totals[self._cause] = self.totals.get(self._cause, 0.0) + elapsed
            self._at = now
        if now - last.since >= _SLICE:
            self._slices.append(_Slice(now, self._dimensions))
            while self._slices[0].since < now - WINDOW and len(self._slices) > 1:
                self._slices.popleft()
