"""
What waits for one caller, and what waits with one priority.

Knows which of them is next within a priority: by the accounts of callers, then by rank.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.pacing.lane import Lane
    from ratedispatch.pacing.queue import Entry
    from ratedispatch.pacing.share import Account, Shares
    from ratedispatch.pacing.turn_queue import Order
    from ratedispatch.request import Cost

#: Entries that have left stay until they are next, unless so many of them have gathered in one
#: line that they are more than half of it.
_MANY = 1_000


def tokens_of(cost: Cost) -> int:
    """Return what *cost* counts as among callers: its tokens, and at least 1."""
    return cost.tokens or 1


class Line:
    """
    What waits for one caller with one priority, for the same lanes; the lowest rank first.

    Attributes:
        level: The priority that it is part of.
        caller: The caller that the requests belong to.
        account: The account of the caller.
        requests: How many wait.
        tokens: Theirs together.
        highest_rank: Of all that have come since nothing waited.
        is_listed: Whether its level knows that something waits here.
    """

    __slots__ = (
        "_entries",
        "account",
        "caller",
        "highest_rank",
        "is_listed",
        "level",
        "requests",
        "tokens",
    )

    def __init__(self, level: Level, caller: str, account: Account) -> None:
        self.level = level
        self.caller = caller
        self.account = account
        self.requests = self.tokens = self.highest_rank = 0
        self.is_listed = False
        self._entries: list[tuple[int, int, Entry]] = []

    @property
    def lanes(self) -> frozenset[Lane] | None:
        """Where its requests may go; None for anywhere."""
        return self.level.order.lanes

    def push(self, entry: Entry) -> None:
        """Add *entry*, which was counted already."""
        is_alone = self.requests == 1
        self.highest_rank = entry.rank if is_alone else max(self.highest_rank, entry.rank)
        heapq.heappush(self._entries, (entry.rank, entry.number, entry))

    def first(self) -> Entry | None:
        """Return the next entry that waits; None if there is none."""
        entries = self._entries
        while entries:
            entry = entries[0][2]
            if entry.is_queued and not entry.future.done():
                return entry
            heapq.heappop(entries)
            if entry.is_queued:  # it has left and not said so
                self.level.order.queue.uncount(entry)
        return None

    def sweep(self) -> None:
        """Let go of the entries that have left, if they are many."""
        if len(self._entries) - self.requests >= max(_MANY, self.requests):
            self._entries = [item for item in self._entries if item[2].is_queued]
            heapq.heapify(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return (entry for _, _, entry in self._entries if entry.is_queued)


class Level:
    """
    What waits with one priority, for the same lanes.

    Attributes:
        order: What it is part of.
        priority: Higher goes first.
        lines: By caller.
        requests: How many wait.
        tokens: Theirs together.
        touched: When something of it went last, or it began to wait.
        is_listed: Whether its order knows that something waits here.
        is_aged: Whether it has got nothing for long.
    """

    __slots__ = (
        "_heap",
        "is_aged",
        "is_listed",
        "lines",
        "order",
        "priority",
        "requests",
        "shares",
        "tokens",
        "touched",
    )

    def __init__(self, order: Order, priority: int, shares: Shares) -> None:
        self.order = order
        self.priority = priority
        self.shares = shares
        self.lines: dict[str, Line] = {}
        self.requests = self.tokens = 0
        self.touched = 0.0
        self.is_listed = self.is_aged = False
        self._heap: list[tuple[float, int, Line]] = []

    def line_of(self, caller: str) -> Line:
        """Return the line of *caller*."""
        line = self.lines.get(caller)
        if line is None:
            line = self.lines[caller] = Line(self, caller, self.shares.of(caller))
        return line

    def list_line(self, line: Line, number: int) -> None:
        """Note that something waits in *line*; *number* makes the order total."""
        line.is_listed = True
        heapq.heappush(self._heap, (line.account.start, number, line))

    def sweep(self) -> None:
        """Let go of the lines of callers that have left, if they are many."""
        if len(self.lines) >= _MANY + 2 * self.requests:
            self.lines = {caller: line for caller, line in self.lines.items() if line.requests}
            self._heap = [item for item in self._heap if item[2].requests]
            heapq.heapify(self._heap)

    def first(self) -> Entry | None:
        """Return the next entry that waits; None if there is none."""
        heap = self._heap
        while heap:
            start, number, line = heap[0]
            entry = line.first()
            if entry is None:
                heapq.heappop(heap)
                line.is_listed = False
                del self.lines[line.caller]
            elif line.account.start > start:
                heapq.heapreplace(heap, (line.account.start, number, line))
            else:
                return entry
        return None
