"""
Permits that reach an event loop late: all of them are given back, and paid for again together.

The queue keeps granting permits while a loop is busy with something else. All requests with such
permits would be sent at once afterwards: ten seconds of the rate, after ten seconds. If the permits
were given back one by one, each would pay for itself again, and the requests would still be sent
together. Given back together, they fill the bucket up to the burst, and so much is sent; the rest
waits for its turn.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.dispatch.permits import LoopEntry, granted

if TYPE_CHECKING:
    from ratedispatch.pacing.admission import Admission
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.turn import Turn


class _Late(NamedTuple):
    admission: Admission
    permit: Permit
    entry: LoopEntry
    rank: int
    turn: Turn


#: What was found to be late in this turn of each loop.
_found: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Late]] = (
    weakref.WeakKeyDictionary()
)


async def paid_again(admission: Admission, permit: Permit, rank: int, turn: Turn) -> Permit:
    """
    Give *permit* back together with all others that came late, and wait for another one.

    Args:
        admission: The queue that has granted it.
        permit: What came late.
        rank: Its place in the queue.
        turn: Its claim on a place in the queue.

    Raises:
        DeadlineMissed: There is none by the deadline of *turn*.
    """
    loop = asyncio.get_running_loop()
    batch = _found.setdefault(loop, [])
    if not batch:
        loop.call_soon(_pay_again, batch)  # after all that were woken in this turn
    entry = LoopEntry()
    batch.append(_Late(admission, permit, entry, rank, turn))
    try:
        return await granted(admission, entry)
    finally:
        permit.cancel()  # it is closed by now, unless the loop ends before its next turn


def _pay_again(batch: list[_Late]) -> None:
    late, batch[:] = batch[:], []
    queues = dict.fromkeys(one.admission for one in late)
    for queue in queues:
        queue.hold()
    try:
        for one in late:
            one.permit.cancel()
        for one in late:
            _enter(one)
    finally:
        for queue in queues:
            queue.release()  # nothing else holds the queues of a gate


def _enter(one: _Late) -> None:
    if one.entry.future.done():  # cancelled meanwhile
        return
    try:
        one.admission.enter(one.permit.cost, one.rank, lambda: one.entry, one.turn)
    except Exception as error:  # the deadline is missed: the caller is told, and nobody else
        one.entry.fail(error)
