"""
Listeners, isolated from what they listen to.

A listener that raises changes nothing: the error is counted, and logged once for each listener.
What could never hear an event is refused at once: what cannot be called, and a coroutine
function, which nobody would await.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.events import Event, Listener

_LOGGER = logging.getLogger("ratedispatch")


class Listeners:
    """
    Tells events to listeners.

    Args:
        listeners: Called in this order with every event, or with those of the types that a
            listener names in an attribute ``listens_to``.

    Attributes:
        are_there: Whether there is any listener.
        errors: Exceptions that listeners have raised so far.

    Raises:
        TypeError: *listeners* are not callables, or one of them is a coroutine function.
    """

    __slots__ = ("_blamed", "_by_kind", "_listeners", "are_there", "errors")

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = hearing(listeners)
        self._by_kind: dict[type[Event], tuple[Listener, ...]] = {}
        self.are_there = bool(self._listeners)
        self._blamed: set[int] = set()
        self.errors = 0

    def tell(self, event: Event) -> None:
        """Call every listener with *event* that wants it."""
        kind = type(event)
        listeners = self._by_kind.get(kind)
        if listeners is None:
            listeners = self._by_kind[kind] = tuple(
                listener
                for listener in self._listeners
                if kind in getattr(listener, "listens_to", (kind,))
            )
        for listener in listeners:
            try:
                listener(event)
            # a plain call cannot be cancelled: such an error is the listener's own
            except (Exception, asyncio.CancelledError):
                self._count(listener, event)

    def _count(self, listener: Listener, event: Event) -> None:
        self.errors += 1
        if id(listener) not in self._blamed:
            self._blamed.add(id(listener))
            _LOGGER.exception(
                "the listener %r raised on %s; it stays in use, and its further errors are only "
                "counted",
                listener,
                type(event).__name__,
            )


def hearing(listeners: Iterable[Listener]) -> tuple[Listener, ...]:
    """
    Return *listeners*, once it is sure that each can hear an event.

    Raises:
        TypeError: *listeners* are not callables, or one of them is a coroutine function.
    """
    if callable(listeners):
        raise TypeError(
            f"listeners must be a list of callables; write listeners=[{_name(listeners)}]"
        )
    heard = tuple(listeners)
    for listener in heard:
        if not callable(listener):
            raise TypeError(f"a listener must be callable with one event, got {listener!r:.100}")
        if inspect.iscoroutinefunction(listener) or inspect.iscoroutinefunction(
            type(listener).__call__
        ):
            raise TypeError(
                f"the listener {_name(listener)} is a coroutine function, but listeners are called "
                "and not awaited; give an ordinary function, which may start a task of its own"
            )
    return heard


def _name(listener: object) -> str:
    return getattr(listener, "__name__", type(listener).__name__)
