"""
What has been read and waits, apart for each line.

Decides how far reading may run ahead of several lines that are not equally fast. Knows names,
items and their sizes; nothing of requests or limits. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ItemT = TypeVar("ItemT")


class Stock(Generic[ItemT]):
    """
    Shelves of items, one for each name, with a bound on all of them together.

    Args:
        most: Items that may lie here at once.
        size: What they may add up to; a single item may be larger.
    """

    def __init__(self, most: int, size: float) -> None:
        self._most = most
        self._size = size
        self._shelves: dict[str, deque[tuple[ItemT, float]]] = {}
        self._count = 0
        self._held = 0.0
        self._bells: dict[str, asyncio.Event] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._is_closed = False

    async def put(self, name: str, item: ItemT, size: float) -> None:
        """Wait for room, then lay *item* onto the shelf of *name*."""
        await self._room.wait()
        self._shelves.setdefault(name, deque()).append((item, size))
        self._count += 1
        self._held += size
        self._bell(name).set()
        self._weigh()

    async def take(self, name: str) -> AsyncIterator[ItemT]:
        """Yield the items of *name* in their order, until the stock is closed and empty."""
        shelf = self._shelves.setdefault(name, deque())
        bell = self._bell(name)
        while shelf or not self._is_closed:
            if not shelf:
                bell.clear()
                await bell.wait()
                continue
            item, size = shelf.popleft()
            self._count -= 1
            self._held -= size
            self._weigh()
            yield item

    def close(self) -> None:
        """Nothing more is wanted: whoever waits for room need not wait any more."""
        self._is_closed = True
        self._room.set()
        for bell in self._bells.values():
            bell.set()

    def _bell(self, name: str) -> asyncio.Event:
        return self._bells.setdefault(name, asyncio.Event())

    def _weigh(self) -> None:
        if self._is_closed or (
            self._count < self._most and (self._held < self._size or not self._count)
        ):
            self._room.set()
        else:
            self._room.clear()
