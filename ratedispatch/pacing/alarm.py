"""
The clock and the timers that an admission is given.

Protocols only, so that the same queue runs in an event loop, among threads, or in virtual time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarm(Protocol):
    """A clock with one timer."""

    def time(self) -> float:
        """Return the instant, in monotonic seconds."""

    def set(self, when: float, callback: Callable[[], None]) -> None:
        """Call *callback* at the instant *when*, in place of what was set before."""

    def clear(self) -> None:
        """Call nothing."""

    def soon(self, callback: Callable[[], None]) -> None:
        """Call *callback* soon, after what runs now."""


class Watcher(Protocol):
    """
    Who wants to know when permits are closed: a circuit breaker.

    Attributes:
        is_watching: Whether it wants to be told now.
    """

    is_watching: bool

    def on_ended(self) -> None:
        """Hear that a permit was closed; called outside all locks."""
