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

#: So many who have left, and more than half of all, are looked for and taken out; fewer stay until
#: they are next.
_MANY = 1_000


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
    many there are. Only those that come after somebody with a higher place (for another attempt,
    or because to count them took longer) are kept in a heap.
    """

    __slots__ = ("_in_order", "_late", "_left", "_numbers")

    def __init__(self) -> None:
        self._in_order: deque[Waiting[GrantT]] = deque()
        self._late: list[Waiting[GrantT]] = []
        self._left = 0  # of those in either, as far as they have said so
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """How many wait in it."""
        return len(self._in_order) + len(self._late) - self._left

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
            heapq.heappush(self._late, who)
        return who

    def head(self) -> Waiting[GrantT] | None:
        """Return who is next of those that have not left; None if nobody is."""
        while self._in_order or self._late:
            is_late = self._late and self._is_late_one_next()
            who = self._late[0] if is_late else self._in_order[0]
            if not who.future.done():
                return who
            self.pop()
            self._left -= 1
        return None

    def pop(self) -> None:
        """Take the first out of the line."""
        if self._late and self._is_late_one_next():
            heapq.heappop(self._late)
        else:
            self._in_order.popleft()

    def leave(self) -> None:
        """Take note that somebody's future is done before its turn."""
        self._left += 1
        if self._left >= _MANY and self._left > len(self):
            waiting = self.clear()
            waiting.sort()
            self._in_order.extend(waiting)

    def clear(self) -> list[Waiting[GrantT]]:
        """Take everybody out, and return those who had not left."""
        everybody = [*self._in_order, *self._late]
        self._in_order.clear()
        self._late.clear()
        waiting = [who for who in everybody if not who.future.done()]
        self._left -= len(everybody) - len(waiting)  # some of them may not have said so yet
        return waiting

    def _is_late_one_next(self) -> bool:
        """Whether the first of the late ones, of whom there are some, is before all others."""
        return not (self._in_order and self._in_order[0] < self._late[0])
