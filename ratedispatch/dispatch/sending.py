"""
Sends one attempt, times it, and interprets its answer or exception.

Does not decide what follows from the result.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from ratedispatch.dispatch.inflight import Attempt, interpret_broken
from ratedispatch.errors import AttemptTimeout, TransportError
from ratedispatch.outcome import Decision, Interpretation
from ratedispatch.pacing.outlook import in_seconds

if TYPE_CHECKING:
    from ratedispatch.dispatch.deadlines import Deadlines
    from ratedispatch.dispatch.inflight import InFlight
    from ratedispatch.dispatch.stop import StopSignal

#: Seconds to wait for a day's limit that does not say when it is reset.
_DAY_POLL_SECONDS = 300.0


async def send(
    call: InFlight, stopping: StopSignal, deadlines: Deadlines, *, waits_for_days: bool
) -> Attempt:
    """
    Send *call* once and interpret what comes back.

    Args:
        call: The request, whose permit has been paid for.
        stopping: Whether what is in flight is waited for no longer.
        deadlines: The deadlines of all attempts.
        waits_for_days: Whether a day's limit is waited for like any other.

    Raises:
        Stopped: It was given up.
    """
    loop, route = asyncio.get_running_loop(), call.route
    timeout, cost = route.timeout, call.cost
    allowed = timeout.usual
    if (
        call.timeouts
        or not cost.is_capped
        or cost.expected_output_tokens > timeout.covered
        or call.request.timeout is not None
    ):
        allowed = call.allowed()
    response = None
    error: BaseException | None = None
    try:
        with deadlines.within(allowed) as call.clock:
            if call.pump is None:
                response = await route.transport.send(call.request, allowed)
            else:
                response = await call.pump.carry(call, allowed, stopping)
        result = route.provider.interpret(response, call.request.endpoint)
    except (TransportError, TimeoutError) as broken:
        if stopping.is_abandoned and stopping.reason is not None:
            raise stopping.reason() from None
        error = broken
        if not isinstance(broken, TransportError):
            waited = allowed if call.has_begun else loop.time() - call.started
            what = "event" if call.has_begun else "answer"
            error = AttemptTimeout(f"no {what} within {in_seconds(waited)}")
        result = interpret_broken(error)
        call.timeouts += isinstance(error, AttemptTimeout)
    except asyncio.CancelledError as fault:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        error = fault  # a transport's own mistake: nobody has cancelled the request
        result = Interpretation(Decision.FAIL, "cannot_send", "the transport itself cancelled it")
    except Exception as fault:  # a body that is not JSON, say: one bad row ends no job
        error, reason = fault, f"{type(fault).__name__}: {fault}"
        result = Interpretation(Decision.FAIL, "cannot_send", reason)
    finally:
        call.clock, call.answer = None, response
    if result.decision is Decision.DAY_LIMIT and waits_for_days and result.delay is None:
        result = dataclasses.replace(result, delay=_DAY_POLL_SECONDS)
    has_told = call.pump is not None and call.has_begun
    return Attempt(result, response, loop.time() - call.started, error, has_told)
