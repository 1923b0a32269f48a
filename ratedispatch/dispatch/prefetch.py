"""
A bounded read-ahead buffer with one queue for each route.

Decides how far reading may run ahead of several routes that are not equally fast. Knows names,
items and their sizes; nothing of requests or limits. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ItemT = TypeVar("ItemT")


class PrefetchBuffer(Generic[ItemT]):
    """
    Queues of items, one for each name, with a bound on all of them together.

    Args:
        most: Items that it may hold at once.
        size: What they may add up to; a single item may be larger.
    """

    def __init__(self, most: int, size: float) -> None:
        self._most = most
        self._size = size
        self._queues: dict[str, deque[tuple[ItemT, float]]] = {}
        self._count = 0
        self._held = 0.0
        self._arrivals: dict[str, asyncio.Event] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._is_closed = False

    async def put(self, name: str, item: ItemT, size: float) -> None:
        """Wait for room, then append *item* to the queue of *name*."""
        await self._room.wait()
        self._queues.setdefault(name, deque()).append((item, size))
        self._count += 1
        self._held += size
        self._arrival(name).set()
        self._update_room()

    async def take(self, name: str) -> AsyncIterator[ItemT]:
        """Yield the items of *name* in their order, until the buffer is closed and empty."""
        queue = self._queues.setdefault(name, deque())
        arrival = self._arrival(name)
        while queue or not self._is_closed:
            if not queue:
                arrival.clear()
                await arrival.wait()
                continue
            item, size = queue.popleft()
            self._count -= 1
            self._held -= size
            self._update_room()
            yield item

    def close(self) -> None:
        """Nothing more is wanted: waits for room end."""
        self._is_closed = True
        self._room.set()
        for arrival in self._arrivals.values():
            arrival.set()

    def _arrival(self, name: str) -> asyncio.Event:
        return self._arrivals.setdefault(name, asyncio.Event())

    def _update_room(self) -> None:
        if self._is_closed or (
            self._count < self._most and (self._held < self._size or not self._count)
        ):
            self._room.set()
        else:
            self._room.clear()
