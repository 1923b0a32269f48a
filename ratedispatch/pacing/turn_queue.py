"""
Requests that wait with different priorities, for different callers, or for different lanes.

Higher priorities go first, strictly; callers of one priority share what there is by weight, in
tokens; of one caller the lowest rank goes first. A priority that has got nothing for long gets a
small share all the same. Knows no bucket and no clock: it is told the instants.

Whatever waits, a step takes as long as a few pushes on a heap.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

from ratedispatch.pacing.ageing import DEFAULT_AGEING, Ageing
from ratedispatch.pacing.share import Shares
from ratedispatch.pacing.turn import FIRST_COME
from ratedispatch.pacing.turn_line import Level, tokens_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ratedispatch.pacing.ageing import AgeingTuning
    from ratedispatch.pacing.lane import Lane
    from ratedispatch.pacing.queue import Entry
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Cost


#: Shares of priorities of which nothing waits are forgotten when there are so many.
_MANY_PRIORITIES = 1_000


class Order:
    """
    What waits for the same lanes, in the order in which it goes.

    Args:
        queue: What it is part of.
        lanes: Where its requests may go; None for anywhere.
        tuning: What priorities get that have waited for long.

    Attributes:
        queue: The argument of this name.
        lanes: The argument of this name.
        levels: By priority.
    """

    __slots__ = ("_ageing", "_heap", "_is_by_age", "lanes", "levels", "queue")

    def __init__(
        self, queue: TurnQueue, lanes: frozenset[Lane] | None, tuning: AgeingTuning
    ) -> None:
        self.queue = queue
        self.lanes = lanes
        self.levels: dict[int, Level] = {}
        self._ageing = Ageing(tuning)
        self._heap: list[tuple[int, Level]] = []  # never two of the same priority
        self._is_by_age = False  # whether what goes next goes for its age alone

    def list_level(self, level: Level, now: float) -> None:
        """Note that something waits in *level* again, from *now* on."""
        if not level.is_listed:
            level.is_listed = True
            heapq.heappush(self._heap, (-level.priority, level))
        self._ageing.begin(level, now)

    @property
    def priority(self) -> int:
        """The highest that waits, right after `first` has found something."""
        return -self._heap[0][0]

    def ages_in(self, level: Level | None, now: float) -> float:
        """Return the seconds until *level* (None for a new one) may get a share for its age."""
        return self._ageing.ages_in(level, now)

    def first(self, now: float) -> Entry | None:
        """Return what goes next; None if nothing waits."""
        heap = self._heap
        while heap:
            top = heap[0][1]
            entry = top.first()
            if entry is not None:
                break
            heapq.heappop(heap)
            top.is_listed = False
            self._ageing.end(top)
            del self.levels[top.priority]
        else:
            return None
        self._is_by_age = False
        if len(heap) > 1:  # seldom
            level = self._ageing.first(top, now)
            aged = None if level is None else level.first()
            if aged is not None:
                entry, self._is_by_age = aged, True
        return entry

    def sweep(self) -> None:
        """Let go of the priorities of which nothing waits, if they are many."""
        if len(self.levels) >= _MANY_PRIORITIES + 2 * self.queue.size:
            self.levels = {one: level for one, level in self.levels.items() if level.requests}
            self._heap = [item for item in self._heap if item[1].requests]
            heapq.heapify(self._heap)
            self._ageing.sweep()

    def place_of(self, entry: Entry) -> tuple[bool, int, float, int, int]:
        """Return what *entry*, which is first here, is sorted by among those of other lanes."""
        line = entry.line
        is_strict = not self._is_by_age
        return is_strict, -line.level.priority, line.account.start, entry.rank, entry.number

    def went(self, entry: Entry, now: float) -> None:
        """Note that *entry*, which was first, went."""
        self._ageing.went(entry.line.level, entry.tokens, now, by_age=self._is_by_age)


class TurnQueue:
    """
    The queue itself.

    Args:
        weights: Shares of callers, by name; all others have a weight of 1.
        tuning: What priorities get that have waited for long.

    Attributes:
        size: How many wait.
    """

    __slots__ = ("_numbers", "_orders", "_shares", "_tuning", "_weights", "size")

    def __init__(self, weights: Mapping[str, float], tuning: AgeingTuning = DEFAULT_AGEING) -> None:
        self._weights = weights
        self._tuning = tuning
        self._numbers = itertools.count()
        self._shares: dict[int, Shares] = {}
        self._orders: dict[frozenset[Lane] | None, Order] = {}
        self.size = 0

    def join(
        self, entry: Entry, rank: int, cost: Cost, since: float, turn: Turn = FIRST_COME
    ) -> None:
        """Add *entry*, with attributes as it has them."""
        entry.rank, entry.number = rank, next(self._numbers)
        entry.cost, entry.since = cost, since
        self._add(entry, turn.lanes, turn.priority, turn.caller)

    @property
    def has_one_order(self) -> bool:
        """Whether all that waits may go to any lane."""
        return not self._orders or (len(self._orders) == 1 and None in self._orders)

    def first(self, now: float) -> Entry | None:
        """Return what goes next of all that may go to any lane; None if nothing waits."""
        order = self._orders.get(None)
        return None if order is None else order.first(now)

    def heads(self, now: float) -> list[Entry]:
        """Return what goes next, of those that wait for the same lanes one each, in order."""
        heads = []
        for order in list(self._orders.values()):
            entry = order.first(now)
            if entry is not None:
                heads.append((order.place_of(entry), entry))
            elif order.lanes is not None:
                del self._orders[order.lanes]
        if len(heads) > 1:
            heads.sort()
        return [entry for _, entry in heads]

    def pop(self, entry: Entry, now: float) -> None:
        """Remove *entry*, one of the heads, which goes."""
        level = entry.line.level
        level.shares.charge(entry.line.account, entry.tokens)
        level.order.went(entry, now)
        self.uncount(entry)

    def charge(self, turn: Turn, cost: Cost) -> None:
        """Charge the caller of *turn* for a request that goes without waiting."""
        shares = self._shares_of(turn.priority)
        shares.charge(shares.of(turn.caller), tokens_of(cost))

    def __iter__(self) -> Iterator[Entry]:
        """Give those that wait, in no order."""
        return _entries_of(self._orders.values())

    def leave(self, entry: Entry) -> None:
        """Count *entry* as gone, if it is still in the queue."""
        if entry.is_queued:
            self.uncount(entry)
            line = entry.line
            line.sweep()
            if not line.requests:
                line.level.sweep()
                if not line.level.requests:
                    line.level.order.sweep()

    def uncount(self, entry: Entry) -> None:
        """Take *entry*, which is in the queue, out of all sums; its place is cleared later."""
        entry.is_queued = False
        line, tokens = entry.line, entry.tokens
        level = line.level
        line.requests -= 1
        line.tokens -= tokens
        level.requests -= 1
        level.tokens -= tokens
        self.size -= 1
        level.shares.leave(line.account)

    def clear(self) -> list[Entry]:
        """Remove all entries; return those that still wait."""
        return self._remove(list(self._orders.values()))

    def remove_stranded(self, lanes: Collection[Lane]) -> list[Entry]:
        """Remove what may go to none of *lanes*; return those that still wait."""
        return self._remove(
            [
                order
                for order in self._orders.values()
                if order.lanes is not None and order.lanes.isdisjoint(lanes)
            ]
        )

    def free_stranded(self, lanes: Collection[Lane]) -> list[Entry]:
        """Let what may go to none of *lanes* go wherever it can; return those."""
        freed = self.remove_stranded(lanes)
        for entry in freed:
            self._add(entry, None, entry.line.level.priority, entry.line.caller)
        return freed

    def order_of(self, turn: Turn) -> Order | None:
        """Return what waits for the same lanes as *turn*; None if nothing does."""
        return self._orders.get(turn.lanes)

    def _add(self, entry: Entry, lanes: frozenset[Lane] | None, priority: int, caller: str) -> None:
        order = self._orders.get(lanes)
        if order is None:
            order = self._orders[lanes] = Order(self, lanes, self._tuning)
        level = order.levels.get(priority)
        if level is None:
            level = order.levels[priority] = Level(order, priority, self._shares_of(priority))
        line = entry.line = level.line_of(caller)
        entry.is_queued = True
        tokens = entry.tokens = tokens_of(entry.cost)
        if not level.requests:
            order.list_level(level, entry.since)
        line.requests += 1
        line.tokens += tokens
        level.requests += 1
        level.tokens += tokens
        self.size += 1
        level.shares.wait(line.account)
        line.push(entry)
        if not line.is_listed:
            level.list_line(line, entry.number)

    def _remove(self, orders: list[Order]) -> list[Entry]:
        entries = list(_entries_of(orders))
        for entry in entries:
            self.uncount(entry)
        for order in orders:
            del self._orders[order.lanes]
        return [entry for entry in entries if not entry.future.done()]

    def _shares_of(self, priority: int) -> Shares:
        shares = self._shares.get(priority)
        if shares is None:
            if len(self._shares) >= _MANY_PRIORITIES:
                self._shares = {one: kept for one, kept in self._shares.items() if kept.waiting}
            shares = self._shares[priority] = Shares(self._weights)
        return shares


def _entries_of(orders: Iterable[Order]) -> Iterator[Entry]:
    for order in orders:
        for level in order.levels.values():
            for line in level.lines.values():
                yield from line
