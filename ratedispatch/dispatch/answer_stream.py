"""
The events of an answer, as a program reads them; returned by `Dispatcher.stream`.

Leaving the loop closes the connection, and with it the permit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.pump import END, EventPump
from ratedispatch.errors import InvalidRequest, RequestFailed
from ratedispatch.outcome import Completed, Failed
from ratedispatch.request import EMBEDDINGS, MODERATIONS, checked_request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from types import TracebackType

    from ratedispatch.dispatch.runner import Runner
    from ratedispatch.outcome import Outcome, Usage
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Request

#: Endpoints whose answers come in one piece only.
WHOLE_ENDPOINTS = frozenset({EMBEDDINGS, MODERATIONS})


def stream_of(
    request: Request,
    turn: Turn,
    transports: Sequence[Any],
    runner: Runner,
    begin: Callable[[], None],
) -> AnswerStream:
    """
    Return the events of the answer to *request*; see `Dispatcher.stream`.

    Args:
        request: What to send.
        turn: Its claim on a place in the queue.
        transports: All of them must be able to stream.
        runner: Runs it.
        begin: Called in the event loop before it is sent.

    Raises:
        InvalidRequest: Such a request cannot be streamed.
        TypeError: *request* is not a request, or one of *transports* cannot stream.
    """
    if checked_request(request).endpoint in WHOLE_ENDPOINTS:
        raise InvalidRequest(f"{request.label}: {request.endpoint} cannot be streamed; use submit")
    plain = next((one for one in transports if not hasattr(one, "stream")), None)
    if plain is not None:
        kind = getattr(plain, "kind", type(plain).__name__)
        raise TypeError(f"{kind} cannot stream answers; give the client itself to the dispatcher")

    async def carry(pump: EventPump) -> Outcome:
        """Send the request, give its events to *pump*, and return its outcome."""
        begin()
        runner.stopping.check()
        call = await runner.prepare(request, turn)
        if isinstance(call, Failed):
            return call
        call.pump = pump
        return await runner.run(call)

    return AnswerStream(carry, EventPump(lambda call, change: runner.note(call.route, change)))


class AnswerStream:
    """
    An asynchronous iterator over the events of one answer; also an asynchronous context manager.

    The request is sent when the first event is requested. If the loop is left early, the stream is
    closed as soon as nothing refers to it; with ``async with`` it is closed at the end of the
    block.

    Args:
        start: Sends the request, and passes its events on through *pump*.
        pump: The source of the events.

    Attributes:
        outcome: The outcome of the request, once the events have ended; None before.
    """

    def __init__(
        self, start: Callable[[EventPump], Coroutine[Any, Any, Outcome]], pump: EventPump
    ) -> None:
        self._start = start
        self._pump = pump
        self._task: asyncio.Task[Outcome] | None = None
        self._is_closed = False
        self.outcome: Outcome | None = None

    @property
    def usage(self) -> Usage | None:
        """The usage that the provider reports, if any, once the events have ended."""
        return self.outcome.usage if isinstance(self.outcome, Completed) else None

    def __aiter__(self) -> AnswerStream:
        return self

    async def __anext__(self) -> Any:
        """
        Return the next event.

        Raises:
            RequestFailed: The request failed, or its answer was cut off.
            Stopped: Nothing more is sent, and it was not answered.
            RuntimeError: Another task already waits for the next event.
        """
        if self._is_closed:
            raise StopAsyncIteration
        if self._pump.is_awaited:
            raise RuntimeError(
                "another task already reads this stream; read it in one task, and pass its events "
                "on"
            )
        if self._task is None:
            self._task = asyncio.create_task(self._start(self._pump))
            self._task.add_done_callback(_retrieve)
            self._task.add_done_callback(self._pump.end)
        try:
            event = await self._pump.take()
        except BaseException:
            await self.aclose()
            raise
        if event is not END:
            return event
        if self._is_closed:  # meanwhile, by another task
            raise StopAsyncIteration
        self._is_closed = True
        self.outcome = self._task.result()
        self._check(self.outcome)
        raise StopAsyncIteration

    def _check(self, outcome: Outcome) -> None:
        label, count = outcome.request.label, self._pump.taken
        if not isinstance(outcome, Completed):
            after = f" after {count:,} events" if count else ""
            raise RequestFailed(
                f"{label} failed{after}: {outcome.message or outcome.code} ({outcome.code})",
                outcome.code,
                outcome,
            ) from outcome.error
        if not count:
            raise RequestFailed(
                f"{label} was answered in one piece, not as a stream; the answer is in the "
                f"outcome of this error",
                "not_streamed",
                outcome,
            )

    async def aclose(self) -> None:
        """Close the connection and the permit; the cost reserved for the answer stays spent."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def __aenter__(self) -> AnswerStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        task = getattr(self, "_task", None)
        if task is not None and not task.done():
            loop = task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)


def _retrieve(task: asyncio.Task[Outcome]) -> None:
    """Take note of the error of *task*, whose reader may have left, so that asyncio does not."""
    if not task.cancelled():
        task.exception()
