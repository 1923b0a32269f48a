"""
A server with a number of slots, and a queue in front of them.

Decides when a request is served and how long that takes. Sets no timer: the instants at which
places come free are known as soon as a request is let in.
"""

from __future__ import annotations

import heapq
import math
from collections import deque


class EngineSlots:
    """
    Places of work in virtual or real time; every ``now`` is loop time and never runs back.

    Args:
        slots: Requests served at once.
        queue: The most that may wait; None for no bound.
        batching: How much the time of service grows with the number then being served:
            ``time × (1 + batching × (active − 1) / slots)``, as when an inference engine puts
            them into one batch. Settled when a request's service begins.

    A place is taken for the whole time of service, even if the client goes away.

    Attributes:
        slots: The argument of this name.
        queue_peak: The most that waited at once.
    """

    def __init__(self, slots: int, queue: int | None, batching: float) -> None:
        self.slots = slots
        self.queue_peak = 0
        self._queue = queue
        self._batching = batching
        self._ends: list[float] = []  # a heap: of what is in service at `_turn`
        self._turn = -math.inf  # when the latest service begins; none overtakes
        self._waiting: deque[float] = deque()  # when the service of each begins, in order
        self._unfinished: list[tuple[float, float]] = []  # a heap of end and begin
        self._seconds = 0.0

    def has_room(self, now: float) -> bool:
        """Return whether a request that arrives *now* is served at once or may wait."""
        while self._waiting and self._waiting[0] <= now:
            self._waiting.popleft()
        if self._queue is None:
            return True
        if not self._waiting:
            self._advance(now)
            if len(self._ends) < self.slots:
                return True
        return len(self._waiting) < self._queue

    def serve(self, duration: float, now: float) -> float:
        """
        Take a place, now or when its turn comes; ask `has_room` before.

        Args:
            duration: Seconds of service if it were alone.
            now: When it arrives.

        Returns:
            Seconds from *now* until it is answered.
        """
        self._advance(now)
        if len(self._ends) >= self.slots:
            self._advance(self._ends[0])
        begin = self._turn
        if begin > now:
            self._waiting.append(begin)
            self.queue_peak = max(self.queue_peak, len(self._waiting))
        duration *= 1 + self._batching * len(self._ends) / self.slots
        end = begin + duration
        heapq.heappush(self._ends, end)
        self._seconds += duration
        unfinished = self._unfinished
        while unfinished and unfinished[0][0] <= now:
            heapq.heappop(unfinished)
        heapq.heappush(unfinished, (end, begin))
        return end - now

    def busy(self, until: float) -> float:
        """Return the seconds that all places together were taken until then, the latest answer."""
        ahead = sum(end - max(begin, until) for end, begin in self._unfinished if end > until)
        return self._seconds - ahead

    def _advance(self, instant: float) -> None:
        """Move to *instant*, or to the latest begin of a service if that is later."""
        self._turn = max(self._turn, instant)
        while self._ends and self._ends[0] <= self._turn:
            heapq.heappop(self._ends)
