"""
A transport to a fake provider in the same process.

The provider is the one behind the fake server; the network is the loop's clock. In a virtual
loop a night's job takes seconds and the same seed gives the same trace.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ratedispatch import _json
from ratedispatch.errors import TransportError
from ratedispatch.outcome import Response
from ratedispatch.simulate.provider.provider import Provider
from ratedispatch.simulate.referee import Referee

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from ratedispatch.request import Request
    from ratedispatch.simulate.provider.answer_events import Stream
    from ratedispatch.simulate.provider.reply import Reply
    from ratedispatch.simulate.settings import ProviderSettings


class ProviderTransport:
    """
    Sends to a provider made of *settings*.

    Must be made while the loop runs.

    Args:
        settings: How the provider behaves.
        rng: Draws its latencies and faults.
        travel: Seconds from here to the provider; the answer's way is part of its latency.
        overseer: A further referee, for what several providers have seen together; see
            `Referee.of_all`.

    Attributes:
        provider: The provider, for example to change its limits.
        referee: What it has seen.
        is_simulated: Its requests open no files, so that what this process may open bounds nothing.
    """

    is_simulated = True

    def __init__(
        self,
        settings: ProviderSettings,
        rng: random.Random,
        *,
        travel: float = 0.0,
        overseer: Referee | None = None,
    ) -> None:
        now = asyncio.get_running_loop().time()
        self.provider = Provider(settings, rng=rng, now=now)
        self.referee = Referee.of(self.provider, now)
        self._referees: tuple[Referee, ...] = (self.referee,)
        if overseer is not None:
            self._referees += (overseer,)
        self._travel = travel

    async def send(self, request: Request, timeout: float) -> Response:
        """Send *request*; see :class:`~ratedispatch.dispatch.transports.protocol.Transport`."""
        del timeout  # the dispatcher holds the clock
        return await self._whole(await self._arrive(request, request.body))

    async def stream(self, request: Request, timeout: float) -> ProvidedStream | Response:
        """
        Send *request* and ask for its answer in parts.

        See :class:`~ratedispatch.dispatch.transports.protocol.StreamingTransport`.
        """
        del timeout
        visit = await self._arrive(request, {**request.body, "stream": True})
        stream = visit.reply.stream
        if stream is None or visit.reply.fault in {"reset", "disconnect", "hang"}:
            return await self._whole(visit)
        try:
            await asyncio.sleep(stream.first)
        except BaseException:
            visit.end(is_sent=False)
            raise
        now = asyncio.get_running_loop().time()
        for referee in self._referees:
            referee.begin_stream(now, arrived=visit.arrived)
        return ProvidedStream(visit, stream)

    async def _arrive(self, request: Request, body: Mapping[str, Any]) -> Visit:
        if self._travel:
            await asyncio.sleep(self._travel)
        now = asyncio.get_running_loop().time()
        headers = {"x-client-request-id": request.custom_id} if request.custom_id else {}
        reply = self.provider.arrive(request.endpoint, headers, body, now)
        for referee in self._referees:
            referee.arrive(reply, now)
        return Visit(self.provider, self._referees, reply, now)

    async def _whole(self, visit: Visit) -> Response:
        """Wait for the whole reply, acting out what strikes the connection."""
        reply = visit.reply
        is_sent = reply.fault == "reset"
        try:
            match reply.fault:
                case "hang" | "stream_stall":
                    await asyncio.Event().wait()
                case "reset":
                    raise TransportError("connection reset")
                case "disconnect":
                    await asyncio.sleep(reply.delay / 2)
                    is_sent = True
                    raise TransportError("server disconnected")
            await asyncio.sleep(reply.delay)
            is_sent = True
        finally:
            visit.end(is_sent=is_sent)
        if reply.fault in {"truncate", "stream_cut"}:
            raise TransportError("the answer ended early")
        return self._response(reply)

    def _response(self, reply: Reply) -> Response:
        """Return the whole answer that *reply* is."""
        if reply.stream is not None:
            reply.body = b"".join(event.frame for event in reply.stream.events)
        try:
            return Response(reply.status, reply.headers, _json.loads(reply.body))
        except ValueError:
            text = reply.body.decode()
            return Response(reply.status, reply.headers, text, is_json=False)


class Visit(NamedTuple):
    """A request that has arrived, and the books in which its end is noted."""

    provider: Provider
    referees: tuple[Referee, ...]
    reply: Reply
    arrived: float

    def end(self, *, is_sent: bool) -> None:
        """Note the end, once."""
        now = asyncio.get_running_loop().time()
        returned = self.provider.finish(self.reply, now) if is_sent else 0
        for referee in self.referees:
            referee.finish(self.reply, now, arrived=self.arrived, returned=returned, sent=is_sent)


class ProvidedStream:
    """
    An answer in parts from a provider in the same process.

    Follows :class:`~ratedispatch.dispatch.transports.protocol.StreamedResponse`. Left before its
    end without `aclose`, it counts as in flight forever.

    Attributes:
        status, headers: Of the head.
    """

    def __init__(self, visit: Visit, stream: Stream) -> None:
        self.status = visit.reply.status
        self.headers: Mapping[str, str] = visit.reply.headers
        self._visit = visit
        self._stream = stream
        self._events = iter(stream.events)
        self._is_ended = False

    def __aiter__(self) -> Self:
        """Return itself: the events come once."""
        return self

    async def __anext__(self) -> dict[str, Any]:
        """Return the next event when it is due."""
        if self._is_ended:
            raise StopAsyncIteration
        event = next(self._events, None)
        if event is None and self._stream.end == "stall":
            await asyncio.Event().wait()
        if event is None or event.data == "[DONE]":
            self._end(is_sent=True)
            if self._stream.end == "cut":
                raise TransportError("the stream ended early")
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        due = self._visit.arrived + self._stream.first + event.token * self._stream.token_time
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        data: dict[str, Any] = json.loads(event.data)
        return data

    async def aclose(self) -> None:
        """Go away: the provider sees that its client is gone."""
        self._end(is_sent=False)

    def _end(self, *, is_sent: bool) -> None:
        if not self._is_ended:
            self._is_ended = True
            self._visit.end(is_sent=is_sent)
