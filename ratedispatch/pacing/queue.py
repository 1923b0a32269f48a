"""
Requests that wait, in the order in which they go.

The lowest rank goes first; of equal ranks, the one that came first. Knows no bucket, no clock and
no event loop.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from ratedispatch.pacing.permit import Permit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ratedispatch.pacing.turn_line import Line
    from ratedispatch.request import Cost

#: Entries that have left stay until they are next, unless so many of them have gathered that they
#: are more than half of all.
_MANY = 1_000


class Promise(Protocol):
    """What a waiter waits for: a future of asyncio or of concurrent.futures."""

    def done(self) -> bool:
        """Whether the wait has ended."""


class Entry:
    """
    One request in the queue, and who waits for it: in an event loop, or in a thread.

    Subclasses say how it is told. They are told from any thread, outside all locks.

    Args:
        future: What it waits for; done early if it left.

    Attributes:
        rank: Lower ranks go first.
        number: How many came before it; makes the order total.
        cost: What it has to pay.
        since: When it came, in seconds of the admission's clock.
        is_queued: Whether it is in the queue.
        has_left: Whether it has said that it left.
        line: Where it waits, in a `TurnQueue`.
        tokens: What it counts as there.
    """

    __slots__ = (
        "cost",
        "future",
        "has_left",
        "is_queued",
        "line",
        "number",
        "rank",
        "since",
        "tokens",
    )

    line: Line
    tokens: int
    rank: int
    number: int
    cost: Cost
    since: float

    def __init__(self, future: Promise) -> None:
        self.future = future
        self.has_left = False
        self.is_queued = False

    def grant(self, permit: Permit) -> None:
        """Take *permit*; give it back if the wait has ended."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """Stop waiting with *error*."""
        raise NotImplementedError

    def __lt__(self, other: Entry) -> bool:
        """Whether it goes before *other*."""
        return (self.rank, self.number) < (other.rank, other.number)


class FairQueue:
    """
    The queue itself.

    Nearly all requests come in the order of their ranks, and a deque serves them at the same cost
    however many there are. Only those that come after one with a higher rank (for another attempt,
    or because counting took longer) are kept in a heap.

    Attributes:
        size: How many wait.
        next: The first of them, unless it has left meanwhile; None where only `head` can tell.
    """

    __slots__ = ("_in_order", "_late", "_left", "_numbers", "next", "size")

    def __init__(self) -> None:
        self._in_order: deque[Entry] = deque()
        self._late: list[Entry] = []
        self._left = 0
        self._numbers = itertools.count()
        self.size = 0
        self.next: Entry | None = None

    def join(self, entry: Entry, rank: int, cost: Cost, since: float) -> None:
        """Add *entry*, with attributes as it has them."""
        entry.rank, entry.number = rank, next(self._numbers)
        entry.cost, entry.since = cost, since
        entry.is_queued = True
        self.size += 1
        in_order = self._in_order
        if not in_order or in_order[-1].rank <= rank:
            if not in_order and not self._late:
                self.next = entry
            in_order.append(entry)
        else:
            heapq.heappush(self._late, entry)
            self.next = None

    def head(self) -> Entry | None:
        """Return the next request that has not left; None if there is none."""
        late, in_order = self._late, self._in_order
        if in_order and not late and not in_order[0].future.done():  # nearly always
            return in_order[0]
        while in_order or late:
            entry = late[0] if late and self._is_late_one_next() else in_order[0]
            if not entry.future.done():
                return entry
            self._remove_first()
            if entry.has_left:
                self._left -= 1
            else:
                self.size -= 1
        return None

    def pop(self) -> None:
        """Remove the first entry, which waits."""
        self.size -= 1
        if not self._late:  # nearly always
            in_order = self._in_order
            in_order.popleft().is_queued = False
            self.next = in_order[0] if in_order else None
        else:
            self._remove_first()
            self.next = None

    def _remove_first(self) -> None:
        if self._late and self._is_late_one_next():
            entry = heapq.heappop(self._late)
        else:
            entry = self._in_order.popleft()
        entry.is_queued = False

    def __iter__(self) -> Iterator[Entry]:
        """Give those that wait, in no order."""
        return (one for one in itertools.chain(self._in_order, self._late) if not one.has_left)

    def leave(self, entry: Entry) -> None:
        """Count *entry* as gone, if it is still in the queue."""
        if not entry.is_queued or entry.has_left:
            return
        entry.has_left = True
        self._left += 1
        self.size -= 1
        if self._left >= _MANY and self._left > self.size:
            waiting = [entry for entry in (*self._in_order, *self._late) if not entry.has_left]
            waiting.sort()
            self._in_order = deque(waiting)
            self._late.clear()
            self._left = 0

    def clear(self) -> list[Entry]:
        """Remove all entries; return those that still wait."""
        entries = [*self._in_order, *self._late]
        self._in_order.clear()
        self._late.clear()
        self._left = self.size = 0
        self.next = None
        for entry in entries:
            entry.is_queued = False
        return [entry for entry in entries if not entry.future.done()]

    def _is_late_one_next(self) -> bool:
        """Whether the first of the late ones goes before all others."""
        return not (self._in_order and self._in_order[0] < self._late[0])


#: How one that leaves the queue is told, and what: its permit, or the error of a budget that fails.
#: To be called outside the lock: it may give its permit back at once.
Grant = tuple["Callable[[Any], None]", Permit | BaseException]
