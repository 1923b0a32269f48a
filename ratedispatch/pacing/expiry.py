"""
Requests in a queue that have a deadline, the earliest first.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from ratedispatch.errors import DeadlineMissed
from ratedispatch.pacing.outlook import described, in_seconds

if TYPE_CHECKING:
    from ratedispatch.pacing.queue import Entry, Grant
    from ratedispatch.pacing.turn_queue import TurnQueue

#: Entries that are no longer in the queue are let go of when there are so many of them, and more
#: than wait.
_MANY = 1_000


class Expiry:
    """The deadlines of what waits."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Entry]] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, entry: Entry, deadline: float, waiting: int) -> None:
        """Note the *deadline* of *entry*, one of so many *waiting*."""
        if len(self._entries) >= _MANY + 2 * waiting:
            self._entries = [item for item in self._entries if item[2].is_queued]
            heapq.heapify(self._entries)
        heapq.heappush(self._entries, (deadline, entry.number, entry))

    def next(self) -> float:
        """Return the next deadline of one that is in the queue; infinity if there is none."""
        entries = self._entries
        while entries:
            deadline, _, entry = entries[0]
            if entry.is_queued:
                return deadline
            heapq.heappop(entries)
        return math.inf

    def end(self, queue: TurnQueue, now: float, *, is_over: bool) -> list[Grant]:
        """
        Take out of *queue* what is not to go after an instant before *now*.

        Args:
            queue: Where it waits.
            now: The instant.
            is_over: Whether *now* itself counts, because all that can go now has gone.
        """
        late: list[Grant] = []
        while (deadline := self.next()) <= now and (is_over or deadline < now):
            entry = heapq.heappop(self._entries)[2]
            queue.leave(entry)
            late.append((entry.fail, _missed(entry, deadline - entry.since, queue.size)))
        return late


def _missed(entry: Entry, allowed: float, waiting: int) -> DeadlineMissed:
    return DeadlineMissed(
        f"{described(entry.cost)} was not sent within {in_seconds(allowed)}, and {waiting:,} "
        f"others wait; allow more time, give it a higher priority, or raise the limits",
        allowed=allowed,
    )
