"""
How a call waits: in an event loop of asyncio or of trio, or in a thread; for as long as it may.

Its bound is an instant on the clock of the queues, and stands above every time-out of the client:
those run only while a call is sent.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING

from ratedispatch.dispatch.permits import acquire, acquire_in_thread
from ratedispatch.dispatch.wrap.call_options import clock
from ratedispatch.errors import DeadlineMissed

if TYPE_CHECKING:
    from ratedispatch.dispatch.wrap.call_options import CallOptions
    from ratedispatch.pacing.admission import Admission
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Cost


def latest(
    options: CallOptions, max_wait: float | None, most_wait: float | None = None
) -> float | None:
    """
    Return the instant until which a call that comes now may wait; None if for ever.

    Args:
        options: What the call asks for.
        max_wait: Seconds that it may wait, unless *options* have others.
        most_wait: Seconds after which it is of no use, whatever they say.
    """
    seconds = max_wait if options.max_wait is None else options.max_wait
    if most_wait is not None:
        seconds = most_wait if seconds is None else min(seconds, most_wait)
    if seconds is None:
        return options.deadline
    until = clock() + seconds
    return until if options.deadline is None else min(until, options.deadline)


async def acquire_here(
    admission: Admission, cost: Cost, rank: int, turn: Turn, until: float | None
) -> Permit:
    """
    Wait for a permit in whichever event loop this is.

    Raises:
        DeadlineMissed: It was not granted by *until*, or cannot be.
    """
    if until is not None:
        turn = dataclasses.replace(turn, deadline=until)
    if asyncio._get_running_loop() is not None:
        return await acquire(admission, cost, rank, turn)
    from ratedispatch.dispatch.wrap.trio_waiter import acquire_in_trio

    return await acquire_in_trio(admission, cost, rank, turn)


def acquire_blocking(
    admission: Admission, cost: Cost, rank: int, turn: Turn, until: float | None
) -> Permit:
    """
    Block until there is a permit.

    Raises:
        DeadlineMissed: It was not granted by *until*, or cannot be.
    """
    if until is not None:
        turn = dataclasses.replace(turn, deadline=until)
    return acquire_in_thread(admission, cost, rank, turn=turn)


async def sleep(seconds: float, until: float | None) -> None:
    """
    Let others go first for *seconds*.

    Raises:
        DeadlineMissed: That is beyond *until*.
    """
    _check(seconds, until)
    if asyncio._get_running_loop() is not None:
        await asyncio.sleep(seconds)
    else:
        import trio

        await trio.sleep(seconds)


def sleep_blocking(seconds: float, until: float | None) -> None:
    """Block for *seconds*; see `sleep`."""
    _check(seconds, until)
    time.sleep(seconds)


def _check(seconds: float, until: float | None) -> None:
    if until is None or (allowed := until - clock()) >= seconds:
        return
    raise DeadlineMissed(
        f"the call was refused for the rate and is to be sent again in {seconds:.3g} s, but may "
        f"wait {max(0.0, allowed):.3g} s; allow more time, or lower the limits that the client was "
        f"wrapped with",
        allowed=allowed,
        earliest=seconds,
    )
