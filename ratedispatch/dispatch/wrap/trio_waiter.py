"""
Waits for permits in an event loop of trio, and is told from any thread.

Imported only where trio runs.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from typing import TYPE_CHECKING

import trio

from ratedispatch.pacing.queue import Entry

if TYPE_CHECKING:
    from ratedispatch.pacing.admission import Admission
    from ratedispatch.pacing.permit import Permit


class TrioEntry(Entry):
    """Waits in a task of trio."""

    __slots__ = ("_event", "_token")

    future: concurrent.futures.Future[Permit]

    def __init__(self) -> None:
        super().__init__(concurrent.futures.Future())
        self._event = trio.Event()
        self._token = trio.lowlevel.current_trio_token()

    async def wait(self) -> None:
        """Wait until it was told."""
        await self._event.wait()

    def grant(self, permit: Permit) -> None:
        """Hand *permit* over; give it back if the caller has left."""
        try:
            self.future.set_result(permit)
        except concurrent.futures.InvalidStateError:
            permit.cancel()
        else:
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Raise *error* in the task that waits."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self.future.set_exception(error)
            self._wake()

    def _wake(self) -> None:
        try:
            self._token.run_sync_soon(self._event.set)
        except trio.RunFinishedError:  # its loop has ended, and its callers have left
            if self.future.exception() is None:
                self.future.result().cancel()


async def granted_in_trio(admission: Admission, entry: TrioEntry) -> Permit:
    """
    Wait for the permit of *entry*, which is in the queue of *admission*.

    Raises:
        DeadlineMissed: It was not granted in time.
    """
    try:
        await entry.wait()
    except BaseException:
        if entry.future.cancel():
            admission.leave(entry)
        elif entry.future.exception() is None:
            entry.future.result().cancel()
        raise
    return entry.future.result()
