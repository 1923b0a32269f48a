"""
Who waits, in the order in which they go.

Decides who is next: the lowest place, and of equal ones who came first. Knows no bucket and no
clock.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    import asyncio

    from ratedispatch.request import Cost

GrantT = TypeVar("GrantT")


class Waiting(NamedTuple, Generic[GrantT]):
    """
    Somebody in the line.

    Args:
        place: Lower ones go first.
        number: How many came before; makes the order total, so that nothing else is compared.
        cost: What it is to be granted.
        amounts: The same in each limited dimension.
        since: When it came, in seconds of the loop.
        future: What it awaits; done early if it left.
    """

    place: int
    number: int
    cost: Cost
    amounts: tuple[float, ...]
    since: float
    future: asyncio.Future[GrantT]


class Line(Generic[GrantT]):
    """
    The line itself.

    Nearly all come in the order of their places, and a queue serves them at the same cost however
    many there are. Those that come back for another attempt have a place before its end; they,
    and only they, are kept in a heap.
    """

    __slots__ = ("_came_back", "_in_order", "_numbers")

    def __init__(self) -> None:
        self._in_order: deque[Waiting[GrantT]] = deque()
        self._came_back: list[Waiting[GrantT]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """How many stand in it; some of them may have left."""
        return len(self._in_order) + len(self._came_back)

    def join(
        self,
        place: int,
        cost: Cost,
        amounts: tuple[float, ...],
        since: float,
        future: asyncio.Future[GrantT],
    ) -> Waiting[GrantT]:
        """Stand in the line; all as in `Waiting`."""
        who = Waiting(place, next(self._numbers), cost, amounts, since, future)
        if not self._in_order or self._in_order[-1] < who:
            self._in_order.append(who)
        else:
            heapq.heappush(self._came_back, who)
        return who

    def head(self) -> Waiting[GrantT] | None:
        """Return who is next of those that have not left; None if nobody is."""
        while self._in_order or self._came_back:
            who = self._came_back[0] if self._is_one_back() else self._in_order[0]
            if not who.future.done():
                return who
            self.pop()
        return None

    def pop(self) -> None:
        """Take the first out of the line, whether it has left or not."""
        if self._is_one_back():
            heapq.heappop(self._came_back)
        else:
            self._in_order.popleft()

    def clear(self) -> list[Waiting[GrantT]]:
        """Take everybody out, and return those who had not left."""
        everybody = [*self._in_order, *self._came_back]
        self._in_order.clear()
        self._came_back.clear()
        return [who for who in everybody if not who.future.done()]

    def _is_one_back(self) -> bool:
        """Whether one that came back is before all others."""
        back = self._came_back
        return bool(back) and not (self._in_order and self._in_order[0] < back[0])
