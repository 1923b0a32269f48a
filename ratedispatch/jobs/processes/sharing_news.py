"""
Reports news about the limits that several processes of one job share only once.

The first process to begin counts the other users of the limits; the other processes would count it,
too. Each of them notices what happens to the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.events import SharingChanged

if TYPE_CHECKING:
    from ratedispatch.dispatch.listeners import Listeners
    from ratedispatch.events import Event


class SharingNews:
    """
    Passes events of several processes to listeners, but news of sharing only once.

    Args:
        listeners: Who is told.
        is_private: Whether nobody else can share the limits, so that nobody asks who does.
    """

    def __init__(self, listeners: Listeners, *, is_private: bool) -> None:
        self._listeners = listeners
        self._is_private = is_private
        self._begun: set[str] = set()
        self._last: dict[str, str] = {}

    def tell(self, event: Event) -> None:
        """Tell *event*, unless another process has said the same."""
        if isinstance(event, SharingChanged) and not self._is_new(event):
            return
        self._listeners.tell(event)

    def _is_new(self, event: SharingChanged) -> bool:
        if event.others is not None:
            has_begun = event.group in self._begun
            self._begun.add(event.group)
            return not has_begun and not self._is_private
        before = self._last.get(event.group)
        self._last[event.group] = event.message
        return event.message != before
