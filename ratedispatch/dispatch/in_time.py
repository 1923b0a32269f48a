"""
The deadline of a request, and its waits between attempts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ratedispatch.errors import DeadlineMissed
from ratedispatch.pacing.outlook import in_seconds

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ratedispatch.dispatch.inflight import InFlight


def instant_of(deadline: float | None) -> float | None:
    """
    Return the instant of a *deadline* in seconds from now; None if there is none.

    Raises:
        TypeError: It is not a number.
    """
    if deadline is None:
        return None
    if not isinstance(deadline, int | float):
        raise TypeError(f"deadline must be a number of seconds from now, not {deadline!r}")
    return asyncio.get_running_loop().time() + deadline


async def in_time(
    call: InFlight, waiting: Coroutine[None, None, None], seconds: float = 0.0
) -> None:
    """
    Wait on behalf of *call*, for at least *seconds*.

    Raises:
        DeadlineMissed: It was not, or cannot be, sent again by its deadline.
        Exception: What *waiting* raises.
    """
    deadline = call.turn.deadline
    if deadline is None:
        await waiting
        return
    left = deadline - asyncio.get_running_loop().time()
    if seconds > left:
        waiting.close()
        raise _missed(call, left, f"is to be sent again in {in_seconds(seconds)}", seconds)
    try:
        async with asyncio.timeout_at(deadline):
            await waiting
    except TimeoutError:
        raise _missed(call, left, "waits until the server is reachable again") from None


def _missed(
    call: InFlight, left: float, what: str, earliest: float | None = None
) -> DeadlineMissed:
    attempts = "1 attempt" if call.attempts == 1 else f"{call.attempts} attempts"
    return DeadlineMissed(
        f"{call.request.label} was not answered in {attempts} and {what}, but its deadline "
        f"is in {max(0.0, left):.3g} s; allow more time",
        allowed=left,
        earliest=earliest,
    )
