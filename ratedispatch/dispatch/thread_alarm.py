"""
Timers for queues in which threads wait: one thread for all queues of the process.

The thread exists while a timer is set or a stream is open, and some seconds longer. It also does
the work of finalizers: a finalizer may run at any moment, even while its thread holds a lock, so
all it may do is put something into a ``SimpleQueue``, which is made for that.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import os
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that the thread stays without work: beginning one takes longer than waking it.
_IDLE_SECONDS = 5.0

#: Seconds that the thread sleeps at most: more than some centuries are more than a lock can wait.
_MOST_SECONDS = 3600.0

_log = logging.getLogger(__name__)

# the clock that is passed in; event loops take theirs from it too
_clock: Callable[[], float] = time.monotonic  # noqa: TID251


class TimerThread:
    """Calls functions at instants, and what is posted to it at once, in one thread."""

    def __init__(self) -> None:
        self._posts: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._timers: list[tuple[float, int, ThreadAlarm, Callable[[], None]]] = []
        self._numbers = itertools.count(1)
        self._wakes_at = math.inf
        self._is_running = False
        self._holders = 0

    def add(self, when: float, alarm: ThreadAlarm, callback: Callable[[], None]) -> None:
        """Call *callback* at *when*, unless *alarm* has got another number by then."""
        with self._lock:
            # under the lock: the thread may look at it before this returns
            number = alarm.number = next(self._numbers)
            heapq.heappush(self._timers, (when, number, alarm, callback))
            is_earlier = when < self._wakes_at
            self._run()
        if is_earlier:
            self._posts.put(None)

    def hold(self) -> None:
        """Keep the thread until `let_go`: something may be posted meanwhile."""
        with self._lock:
            self._holders += 1
            self._run()

    def let_go(self) -> None:
        """Take back one `hold`."""
        with self._lock:
            self._holders -= 1

    def post(self, callback: Callable[[], None]) -> None:
        """Call *callback* soon; may be called from a finalizer, while the thread is held."""
        self._posts.put(callback)

    def take_over(self, callback: Callable[[], None]) -> None:
        """Do the same where the thread may not be held; it is begun if that can be done at once."""
        self._posts.put(callback)
        if self._lock.acquire(blocking=False):  # whoever has it keeps the thread or begins it
            try:
                self._run()
            finally:
                self._lock.release()

    def _run(self) -> None:
        if not self._is_running:
            threading.Thread(target=self._work, name="ratedispatch-timer", daemon=True).start()
            self._is_running = True  # where none could be begun, the next caller tries again

    def _work(self) -> None:
        while True:
            due, wait = self._due()
            for callback in due:
                _call(callback)
            if due:
                continue
            try:
                posted = self._posts.get(timeout=wait)
            except Empty:
                if self._ends(wait):
                    return
            else:
                if posted is not None:
                    _call(posted)

    def _due(self) -> tuple[list[Callable[[], None]], float]:
        """Take what is due from the timers; return it, and the seconds until the next one."""
        now, due = _clock(), []
        with self._lock:
            timers = self._timers
            while timers and (timers[0][0] <= now or timers[0][2].number != timers[0][1]):
                _, number, alarm, callback = heapq.heappop(timers)
                if alarm.number == number:
                    alarm.number = 0
                    due.append(callback)
            if due:
                self._wakes_at = -math.inf  # it looks again without being told
                return due, 0.0
            self._wakes_at = timers[0][0] if timers else math.inf
            return due, min(timers[0][0] - now, _MOST_SECONDS) if timers else _IDLE_SECONDS

    def _ends(self, waited: float) -> bool:
        with self._lock:
            is_idle = waited >= _IDLE_SECONDS and not (self._timers or self._holders)
            if is_idle and self._posts.empty():
                self._is_running = False
            return not self._is_running


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:  # one queue that fails must not stop the timers of all others
        _log.exception("a timer failed")


_thread = TimerThread()


def timer_thread() -> TimerThread:
    """Return the one of this process."""
    return _thread


def _renew() -> None:
    """After a fork: the thread has stayed in the parent."""
    global _thread  # noqa: PLW0603 - there is one for each process
    _thread = TimerThread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class ThreadAlarm:
    """
    The monotonic clock of the machine, and one timer in the thread that all share.

    Attributes:
        number: The number of the timer that is set; 0 if none is.
    """

    __slots__ = ("number", "time")

    def __init__(self) -> None:
        self.number = 0
        self.time: Callable[[], float] = _clock

    def set(self, when: float, callback: Callable[[], None]) -> None:
        """Call *callback* in the thread at *when*, in place of what was set before."""
        timer_thread().add(when, self, callback)

    def clear(self) -> None:
        """Call nothing."""
        self.number = 0

    def soon(self, callback: Callable[[], None]) -> None:
        """Call *callback* in the thread at once."""
        timer_thread().add(-math.inf, _Once(), callback)


class _Once(ThreadAlarm):
    """A timer that nothing replaces."""

    __slots__ = ()
