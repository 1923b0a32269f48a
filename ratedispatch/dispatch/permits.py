"""
Waiting for permits: in an event loop, or in a thread.

The queue itself knows neither. This module has the timer of an event loop that wakes the queue, and
the waiters of both kinds that the queue notifies; several loops and threads may wait in one queue.
The timer for threads is in `thread_alarm`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from typing import TYPE_CHECKING

from ratedispatch.pacing.permit import Permit
from ratedispatch.pacing.queue import Entry
from ratedispatch.pacing.turn import FIRST_COME

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.admission import Admission
    from ratedispatch.pacing.feedback import Change
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Cost


class LoopAlarm:
    """The clock and one timer of the event loop that first asks for the time."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._timer: asyncio.TimerHandle | None = None
        # replaced by the loop's own: asking for the running loop is a system call each time
        self.time: Callable[[], float] = self._bind

    def set(self, when: float, callback: Callable[[], None]) -> None:
        """Call *callback* in the loop at *when*."""
        assert self._loop is not None
        if threading.get_ident() == self._thread:
            self._set(when, callback)
        else:
            self._loop.call_soon_threadsafe(self._set, when, callback)

    def clear(self) -> None:
        """Call nothing."""
        if self._timer is None:
            return
        if threading.get_ident() == self._thread:
            self._clear()
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._clear)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call *callback* in the next turn of the loop."""
        assert self._loop is not None
        if threading.get_ident() == self._thread:
            self._loop.call_soon(callback)
        else:
            self._loop.call_soon_threadsafe(callback)

    def _set(self, when: float, callback: Callable[[], None]) -> None:
        assert self._loop is not None
        self._clear()
        self._timer = self._loop.call_at(when, callback)

    def _clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _bind(self) -> float:
        loop = self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.time = loop.time
        return loop.time()


class LoopEntry(Entry):
    """
    Waits in an event loop; the queue may tell it from any thread.

    A permit that another thread has passed on to a loop which is closed before its next turn is
    lost: close a loop only when nothing waits in it any more, as ``asyncio.run`` does.
    """

    __slots__ = ("_loop", "_thread")

    future: asyncio.Future[Permit]

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        super().__init__(self._loop.create_future())

    def grant(self, permit: Permit) -> None:
        """Hand *permit* over; give it back if the caller has left."""
        try:
            if threading.get_ident() != self._thread:
                self._loop.call_soon_threadsafe(self.grant, permit)
            elif self.future.done():
                permit.cancel()
            else:
                self.future.set_result(permit)
        except RuntimeError:  # the loop is closed, and its callers have left
            permit.cancel()

    def fail(self, error: BaseException) -> None:
        """Raise *error* in the task that waits."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if threading.get_ident() == self._thread:
                self._refuse(error)
            else:
                self._loop.call_soon_threadsafe(self._refuse, error)

    def _refuse(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class ThreadEntry(Entry):
    """Waits in a thread."""

    __slots__ = ()

    future: concurrent.futures.Future[Permit]

    def __init__(self) -> None:
        super().__init__(concurrent.futures.Future())

    def grant(self, permit: Permit) -> None:
        """Hand *permit* over; give it back if the caller has left."""
        try:
            self.future.set_result(permit)
        except concurrent.futures.InvalidStateError:
            permit.cancel()

    def fail(self, error: BaseException) -> None:
        """Raise *error* in the thread that waits."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self.future.set_exception(error)


async def acquire(
    admission: Admission, cost: Cost, rank: int = 0, turn: Turn = FIRST_COME
) -> Permit:
    """
    Wait in the queue of *admission* until *cost* may be spent; return the permit.

    Lower ranks go first, of those with equal turns. A cancelled wait leaves the queue and spends
    nothing.

    Raises:
        BaseException: What the queue was closed with.
    """
    entry = admission.enter(cost, rank, LoopEntry, turn)
    return entry if isinstance(entry, Permit) else await granted(admission, entry)


async def granted(admission: Admission, entry: LoopEntry) -> Permit:
    """Wait for the permit of *entry*, which is in the queue of *admission*; see `acquire`."""
    future = entry.future
    try:
        return await future
    except asyncio.CancelledError:
        if future.cancelled():
            admission.leave(entry)
        elif future.exception() is None:
            future.result().cancel()  # granted in the very turn in which it was cancelled
        raise


def acquire_in_thread(
    admission: Admission,
    cost: Cost,
    rank: int = 0,
    timeout: float | None = None,
    turn: Turn = FIRST_COME,
) -> Permit:
    """
    Block until *cost* may be spent; return the permit.

    Args:
        admission: The queue. Its alarm must not need this thread to run.
        cost: What to pay.
        rank: Lower ranks go first.
        timeout: Seconds to wait at most; None for as long as it takes.
        turn: Its claim on a place in the queue.

    Raises:
        TimeoutError: It was not granted in time; nothing was spent.
        BaseException: What the queue was closed with.
    """
    entry = admission.enter(cost, rank, ThreadEntry, turn)
    return entry if isinstance(entry, Permit) else granted_in_thread(admission, entry, timeout)


def granted_in_thread(
    admission: Admission, entry: ThreadEntry, timeout: float | None = None
) -> Permit:
    """Block for the permit of *entry*, which is in the queue of *admission*; as the other."""
    try:
        return entry.future.result(timeout)
    except BaseException as error:
        if entry.future.cancel():
            admission.leave(entry)
            if isinstance(error, concurrent.futures.TimeoutError):
                raise TimeoutError(f"no permit within {timeout:g} s") from None
        elif isinstance(error, concurrent.futures.TimeoutError):
            return entry.future.result()  # granted or closed in this very moment
        elif entry.future.exception() is None:
            entry.future.result().cancel()
        raise


class PermitScope:
    """
    A permit as an asynchronous context manager, as `Dispatcher.permit` returns it.

    Args:
        admission: The queue to wait in.
        cost: What to pay.
        rank: Lower ranks go first.
        tell: Called with each change that the permit's report brings.
        turn: Its claim on a place in the queue.
    """

    __slots__ = ("_admission", "_cost", "_permit", "_rank", "_tell", "_turn")

    def __init__(
        self,
        admission: Admission,
        cost: Cost,
        rank: int,
        tell: Callable[[Change], None],
        turn: Turn = FIRST_COME,
    ) -> None:
        self._admission = admission
        self._cost = cost
        self._rank = rank
        self._tell = tell
        self._turn = turn
        self._permit: Permit | None = None

    async def __aenter__(self) -> Permit:
        if self._permit is not None:
            raise RuntimeError(
                "this permit is already in use; request another one from the dispatcher"
            )
        permit = self._permit = await acquire(self._admission, self._cost, self._rank, self._turn)
        permit.tell = self._tell
        return permit

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the permit, if there is one."""
        permit, self._permit = self._permit, None
        if permit is not None:
            permit.close()
