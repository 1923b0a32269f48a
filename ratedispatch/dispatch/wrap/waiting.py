"""
How a call waits: in an event loop of asyncio or of trio, or in a thread; for as long as it may.

Its bound is an instant on the clock of the queues, and stands above every time-out of the client:
those run only while a call is sent.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ratedispatch.dispatch.permits import acquire, acquire_in_thread
from ratedispatch.dispatch.wrap.call_options import clock

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
        TimeoutError: It was not granted by *until*.
    """
    if asyncio._get_running_loop() is None:
        from ratedispatch.dispatch.wrap.trio_waiter import acquire_in_trio

        began = clock()
        seconds = None if until is None else until - began
        permit = await acquire_in_trio(admission, cost, rank, turn, seconds)
        if permit is None:
            raise too_late(admission, began)
        return permit
    if until is None:
        return await acquire(admission, cost, rank, turn)
    began = clock()
    try:
        async with asyncio.timeout_at(until):
            return await acquire(admission, cost, rank, turn)
    except TimeoutError:
        raise too_late(admission, began) from None


def acquire_blocking(
    admission: Admission, cost: Cost, rank: int, turn: Turn, until: float | None
) -> Permit:
    """
    Block until there is a permit.

    Raises:
        TimeoutError: It was not granted by *until*.
    """
    if until is None:
        return acquire_in_thread(admission, cost, rank, turn=turn)
    began = clock()
    try:
        return acquire_in_thread(admission, cost, rank, max(0.0, until - began), turn)
    except TimeoutError:
        raise too_late(admission, began) from None


async def sleep(seconds: float, until: float | None) -> None:
    """
    Let others go first for *seconds*.

    Raises:
        TimeoutError: That is beyond *until*.
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


def too_late(admission: Admission, began: float) -> Exception:
    """Return the error of a call that has waited since *began* and may not any longer."""
    from ratedispatch.dispatch.wrap.gate_errors import WaitTooLong

    state = admission.snapshot()
    return WaitTooLong(
        f"the call was not sent within the {clock() - began:.1f} s that it may wait: "
        f"{state.waiting:,} others wait for the limits and {state.in_flight:,} are in flight; "
        f"raise max_wait or the deadline (a request that is signed waits for 240 s at most), "
        f"raise the limits, or send less"
    )


def _check(seconds: float, until: float | None) -> None:
    from ratedispatch.dispatch.wrap.gate_errors import WaitTooLong

    if until is not None and clock() + seconds > until:
        raise WaitTooLong(
            f"the call was refused for the rate and is to be sent again in {seconds:.1f} s, but "
            f"may wait {max(0.0, until - clock()):.1f} s; raise max_wait or the deadline, or lower "
            f"the limits that the client was wrapped with"
        )
