"""
Puts items that end in any order back into the order in which they began.

Pure. Holds at most as many items as its user keeps open at once: items behind a slow one wait here,
and keep their room until they are handed out.
"""

from __future__ import annotations

from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class InOrder(Generic[ItemT]):
    """
    Items by their places, which count up from 0.

    A place without an item is passed over, once that is known.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, ItemT | None] = {}
        self._next = 0

    def __len__(self) -> int:
        """How many items wait for others before them."""
        return sum(item is not None for item in self._waiting.values())

    def add(self, place: int, item: ItemT | None) -> None:
        """Keep *item* until its *place* has its turn; None says that there will be none."""
        self._waiting[place] = item

    def pop(self) -> ItemT | None:
        """Return the item whose turn it is; None if it has not come."""
        while self._next in self._waiting:
            item = self._waiting.pop(self._next)
            self._next += 1
            if item is not None:
                return item
        return None

    def pop_any(self) -> ItemT | None:
        """Return the first of those that still wait, whatever is missing before it."""
        for place in sorted(self._waiting):
            item = self._waiting.pop(place)
            if item is not None:
                return item
        return None
