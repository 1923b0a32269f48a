"""
Stops a job early, even before its dispatcher exists.

Decides what happens to a stop that comes too early: it is remembered, with its timeout, and both
apply once there is a dispatcher. Knows no reasons.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.jobs.sender import Stoppable


class Halt:
    """
    The early stop of a job.

    Attributes:
        is_set: Whether nothing more is sent.
        is_over: Whether the timeout after a stop has passed.
    """

    def __init__(self) -> None:
        self.is_set = self.is_over = False
        self._first: tuple[str, str] | None = None
        self._timeout = math.inf
        self._dispatcher: Stoppable | None = None
        self._has_begun = False  # there may be no loop before
        self._abandoning: asyncio.TimerHandle | None = None

    def attach(self, dispatcher: Stoppable) -> None:
        """Stop *dispatcher* from now on, and at once if a stop has come before."""
        self._dispatcher = dispatcher
        self._has_begun = True
        if self._first is not None:
            dispatcher.stop(*self._first)
            self._abandon_later()

    def stop(self, code: str, message: str) -> None:
        """Send nothing more; only the first stop counts."""
        self.is_set = True
        if self._dispatcher is not None:
            self._dispatcher.stop(code, message)
        elif self._first is None:
            self._first = code, message

    def limit(self, timeout: float) -> None:
        """After a stop: give up what is still in flight after *timeout* seconds."""
        if self._timeout == math.inf:
            self._timeout = timeout
            self._abandon_later()

    def detach(self) -> None:
        """Do not give up anything, since nothing is in flight; the timeout continues."""
        self._dispatcher = None
        self._has_begun = True

    def end(self) -> None:
        """Forget the time: the job has ended."""
        if self._abandoning is not None:
            self._abandoning.cancel()

    def _abandon_later(self) -> None:
        if self._has_begun and self._timeout < math.inf:
            loop = asyncio.get_running_loop()
            self._abandoning = loop.call_later(self._timeout, self._give_up)

    def _give_up(self) -> None:
        self.is_over = True
        if self._dispatcher is not None:
            self._dispatcher.abandon()
