"""
Timeouts of many attempts, with one timer for all of them.

Does for a block what ``asyncio.timeout`` does, which sets a timer for each and takes 5 to 10 µs
(Python 3.11), a twentieth of all that a request costs. Here a block notes when it has to be over,
and one timer waits for the earliest of these instants. Most attempts end long before it, so that
the timer is set again every minute or so. Follows: CPython, ``asyncio/timeouts.py``.

After the process was suspended, answers wait in the sockets and the timer is overdue. Then it waits
a little longer, so that these answers are read first.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


#: A timer that comes later than this, in seconds, was held up by more than a busy loop.
_LATE_SECONDS = 1.0

#: What blocks get then, in seconds: enough to read the answers that have come meanwhile.
_GRACE_SECONDS = 1.0


class Deadlines:
    """The deadlines of what runs, in whichever loop it runs."""

    __slots__ = ("_due", "_has_waited", "_loop", "_next", "_running", "_timer")

    def __init__(self) -> None:
        self._running: dict[Deadline, None] = {}  # a set that keeps its order
        self._next = math.inf  # the instant of the timer
        self._due = 0.0  # when it can come at the earliest
        self._has_waited = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def within(self, seconds: float) -> Deadline:
        """Return a context manager that lets its block take so many *seconds* from now."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the timer of another loop may never come
            self._loop, self._next = loop, math.inf
        return Deadline(self, loop.time() + seconds)

    def add(self, deadline: Deadline) -> None:
        """Watch *deadline*, whose block begins."""
        self._running[deadline] = None
        self.look_at(deadline.when)

    def discard(self, deadline: Deadline) -> None:
        """Watch *deadline* no longer."""
        self._running.pop(deadline, None)

    def look_at(self, when: float) -> None:
        """Look at *when* for what has run out."""
        if when >= self._next:
            return
        if self._timer is not None:
            self._timer.cancel()
        assert self._loop is not None
        self._next = when
        self._due = max(when, self._loop.time())
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        """Cancel what has run out, and look again when the next may have."""
        assert self._loop is not None
        now, self._next = self._next, math.inf
        at = self._loop.time()
        if at > self._due + _LATE_SECONDS and not self._has_waited:
            self._has_waited = True
            self.look_at(at + _GRACE_SECONDS)
            return
        self._has_waited = False
        for deadline in [one for one in self._running if one.when <= now]:
            self.discard(deadline)
            deadline.expire()
        if self._running:
            self.look_at(min(one.when for one in self._running))


class Deadline:
    """
    A context manager that cancels its block at an instant, and raises ``TimeoutError`` then.

    Args:
        deadlines: What watches it.
        when: The instant, by the clock of the loop.
    """

    __slots__ = ("_cancelling", "_deadlines", "_has_expired", "_task", "when")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self._deadlines = deadlines
        self.when = when
        self._has_expired = False

    def __enter__(self) -> Deadline:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._deadlines.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._has_expired:
            self._deadlines.discard(self)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            # no other cancellation than this one
            raise TimeoutError from error

    def reschedule(self, when: float) -> None:
        """Let the block take until *when* instead, unless it is over already."""
        if not self._has_expired:
            self.when = when
            self._deadlines.look_at(when)

    def expire(self) -> None:
        """Cancel the block."""
        self._has_expired = True
        self._task.cancel()
