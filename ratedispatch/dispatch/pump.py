"""
Passes the events of one answer from the transport to their reader.

A stream is an attempt like any other; it lasts until its last event and is admitted, retried,
interpreted and settled like all attempts. Decides when an answer has begun, after which it is never
requested again, and when it is complete. Reads only a few events ahead: a slow reader slows the
connection.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.answer_collector import AnswerCollector
from ratedispatch.errors import TransportError
from ratedispatch.outcome import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.inflight import InFlight
    from ratedispatch.dispatch.stop import StopSignal
    from ratedispatch.dispatch.transports.protocol import StreamedResponse, StreamingTransport
    from ratedispatch.pacing.feedback import Change

#: Events that may wait to be taken, so that the reader and the connection need not take turns.
_MOST_WAITING = 64

#: What `EventPump.take` gives after the last event.
END = object()


class EventPump:
    """
    The events of one request, whichever attempt brings them. For one event loop.

    Args:
        note: Called with each change of the pacing that the head of the answer brings.

    Attributes:
        has_begun: Whether an event has come: then there is no other attempt.
        taken: Events that were taken.
    """

    def __init__(self, note: Callable[[InFlight, Change], None]) -> None:
        self._note = note
        self._waiting: deque[Any] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._has_ended = False
        self.has_begun = False
        self.taken = 0

    async def carry(self, call: InFlight, allowed: float, stopping: StopSignal) -> Response:
        """
        Ask for the answer to *call*, and hand its events over until the last one.

        Args:
            call: The request, whose permit has been paid for.
            allowed: Seconds to the first event, and from one to the next.
            stopping: Whether what is in flight is waited for no longer.

        Returns:
            What the answer amounts to, with its usage; an error that came among the events; or
            the answer, where it came in one piece.

        Raises:
            TransportError: The events ended before the answer did.
        """
        transport: StreamingTransport = call.route.transport  # type: ignore[assignment]
        opened = await transport.stream(call.request, allowed)
        if isinstance(opened, Response):
            return opened
        try:
            self._read_head(opened, call)
            return await self._carry_all(opened, call, allowed, stopping)
        finally:
            await opened.aclose()

    def _read_head(self, opened: StreamedResponse, call: InFlight) -> None:
        """Take in what the head says about the buckets: at the end it would be out of date."""
        readings = call.route.provider.readings(opened.headers)
        if call.permit is not None:
            for change in call.permit.observe(readings):
                self._note(call, change)

    async def _carry_all(
        self, opened: StreamedResponse, call: InFlight, allowed: float, stopping: StopSignal
    ) -> Response:
        loop = asyncio.get_running_loop()
        told = AnswerCollector(call.request.endpoint)
        async for event in opened:
            error = told.read(event)
            if error is not None:
                return Response(opened.status, opened.headers, {"error": error})
            if not self.has_begun:
                self.has_begun = True
                if call.route.breaker.is_watching:  # the server is well, long before the end
                    call.route.breaker.on_answer(call.number)
            self._waiting.append(event)
            if self._reader is not None and not self._reader.done():
                self._reader.set_result(None)
            if len(self._waiting) >= _MOST_WAITING:
                _allow(call, math.inf, stopping)
                self._room = loop.create_future()
                await self._room
            _allow(call, loop.time() + allowed, stopping)
        if not told.is_whole:
            raise TransportError("the stream ended before the answer did")
        return Response(opened.status, opened.headers, told.body())

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the next event."""
        return self._reader is not None and not self._reader.done()

    async def take(self) -> Any:
        """Return the next event once it has come; `END` after the last one."""
        while not self._waiting:
            if self._has_ended:
                return END
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self.taken += 1
        return self._waiting.popleft()

    def end(self, *_: object) -> None:
        """Say that no event will come any more; what waits can still be taken."""
        self._has_ended = True
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _allow(call: InFlight, until: float, stopping: StopSignal) -> None:
    if not stopping.is_abandoned:
        call.reschedule(until)
