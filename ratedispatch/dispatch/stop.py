"""
The stop of a dispatcher: whether and why nothing more is sent.

Ends waits that would outlast it. A request that waits for its next attempt is woken with the
exception; requests in flight continue until they are abandoned.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from ratedispatch.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.limits import Rate


def used_up(rate: Rate, wait: float) -> str:
    """Return the reason of a stop for a limit of a day, which is free again after *wait* s."""
    seconds = f"{math.ceil(wait):,} s"
    return f"the limit of {rate} is used up; the next request could go in {seconds}"


class StopSignal:
    """
    Set once, by the first stop.

    Attributes:
        reason: Makes the exception of the stop; None as long as nothing has stopped.
        is_abandoned: Whether what is in flight is waited for no longer.
        has_answered: Whether anything was answered, which tells an interruption from a mistake in
            the configuration.
    """

    __slots__ = ("_sleepers", "_told", "has_answered", "is_abandoned", "reason")

    def __init__(self) -> None:
        self.reason: Callable[[], Stopped] | None = None
        self.is_abandoned = False
        self.has_answered = False
        self._sleepers: dict[asyncio.Future[None], object] = {}
        self._told: list[Callable[[], None]] = []

    def on_stop(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call *tell* when everything stops; return what takes it back."""
        self._told.append(tell)
        return lambda: self._told.remove(tell)

    def tell_all(self) -> None:
        """Tell those who want to know that everything has stopped."""
        for tell in self._told:
            tell()

    def error(self, code: str, message: str) -> Callable[[], Stopped]:
        """Return what makes a new exception for everybody who is told of a stop."""
        return lambda: Stopped(code, message, started=self.has_answered)

    def set(self, reason: Callable[[], Stopped]) -> None:
        """Stop because of *reason*, and wake all sleepers with it."""
        self.reason = reason
        self.wake(reason)

    def wake(self, reason: Callable[[], Stopped], route: object = None) -> None:
        """Wake the sleepers of *route*, or all without one, with *reason*."""
        for sleeper, owner in self._sleepers.items():
            if route in {None, owner} and not sleeper.done():
                sleeper.set_exception(reason())

    def check(self) -> None:
        """
        Raise the exception of the stop, if there was one.

        Raises:
            Stopped: Nothing more is sent.
        """
        if self.reason is not None:
            raise self.reason()

    async def sleep(self, delay: float, route: object) -> None:
        """
        Wait for *delay* seconds before another attempt on *route*.

        Raises:
            Stopped: A stop came before they were over.
        """
        self.check()
        if delay <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(delay, _wake, sleeper)
        try:
            await self.wait(sleeper, route)
        finally:
            timer.cancel()

    async def wait(self, sleeper: asyncio.Future[None], route: object) -> None:
        """
        Wait for *sleeper* on behalf of a request on *route*.

        Raises:
            Stopped: A stop came before it was done.
        """
        self._sleepers[sleeper] = route
        try:
            await sleeper
        finally:
            del self._sleepers[sleeper]


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
