"""
How a call waits: in an event loop of asyncio or of trio, or in a thread; for as long as it may.

Its bound is an instant on the clock of the queues. Timeouts of the client do not count: they run
only while a call is being sent.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, TypeVar

from ratedispatch.dispatch.permits import LoopEntry, ThreadEntry, granted, granted_in_thread
from ratedispatch.dispatch.wrap.call_options import clock
from ratedispatch.dispatch.wrap.late_permits import paid_again
from ratedispatch.errors import DeadlineMissed
from ratedispatch.pacing.permit import Permit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.wrap.call_options import CallOptions
    from ratedispatch.pacing.admission import Admission
    from ratedispatch.pacing.queue import Entry
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Cost


EntryT = TypeVar("EntryT", bound="Entry")

#: A permit that was granted longer ago is not used. So much of the rate may come on top of a
#: burst: a tenth of a second, where a second is the shallowest bucket that providers document.
_STALE_SECONDS = 0.1

#: How often a call in an event loop gives a stale permit back: in one that is always busy it goes
#: all the same.
_MOST_RENEWALS = 3


def latest(
    options: CallOptions, max_wait: float | None, most_wait: float | None = None
) -> float | None:
    """
    Return the instant until which a call that comes now may wait; None if forever.

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
        entry = admission.enter(cost, rank, LoopEntry, turn)
        if isinstance(entry, Permit):
            return entry
        permit = await granted(admission, entry)
        for _ in range(_MOST_RENEWALS):
            if _is_fresh(permit, admission):
                break
            permit = await paid_again(admission, permit, rank, turn)
        return permit
    from ratedispatch.dispatch.wrap.trio_waiter import TrioEntry, granted_in_trio

    told = admission.enter(cost, rank, TrioEntry, turn)
    while not isinstance(told, Permit):
        permit = await granted_in_trio(admission, told)
        if _is_fresh(permit, admission):
            return permit
        told = _entered_again(permit, admission, rank, TrioEntry, turn)
    return told


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
    entry = admission.enter(cost, rank, ThreadEntry, turn)
    while not isinstance(entry, Permit):
        permit = granted_in_thread(admission, entry)
        if _is_fresh(permit, admission):
            return permit
        entry = _entered_again(permit, admission, rank, ThreadEntry, turn)
    return entry


def _is_fresh(permit: Permit, admission: Admission) -> bool:
    """
    Whether *permit* was granted just now.

    The queue keeps granting permits while a loop is busy with something else. All requests with
    such permits would be sent at once afterwards.
    """
    return admission.alarm.time() - permit.granted_at <= _STALE_SECONDS


def _entered_again(
    permit: Permit,
    admission: Admission,
    rank: int,
    make_entry: Callable[[], EntryT],
    turn: Turn,
) -> Permit | EntryT:
    """Give the stale *permit* back and enter the queue again, at the old place."""
    if turn.deadline is not None:  # what it holds itself must not count as what it waits for
        permit.cancel()
        return admission.enter(permit.cost, rank, make_entry, turn)
    try:
        return admission.enter(permit.cost, rank, make_entry, turn)
    finally:
        permit.cancel()


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
        f"wait only {max(0.0, allowed):.3g} s; allow more time, or lower the limits that the "
        f"client was wrapped with",
        allowed=allowed,
        earliest=seconds,
    )
