"""
One request at the fake server, between its arrival and its end.

Waits as long as the reply says, writes it, carries out faults of the connection, and keeps the
records of the provider and its referees. Decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

    from ratedispatch.simulate.provider.answer_events import Event, Stream
    from ratedispatch.simulate.provider.provider import Provider
    from ratedispatch.simulate.provider.reply import Reply
    from ratedispatch.simulate.referee import Referee
    from ratedispatch.simulate.server.http import Exchange

#: Seconds by which an event may be written too early: timers are not more exact.
_EARLY = 0.0005


class Visit:
    """
    A reply in progress: a timer, and the records.

    Args:
        loop: The loop of the server.
        provider: Who gives it.
        referees: Who watches; each is told of the end, and of the first event of a stream.
        exchange: The way back to the client.
        reply: What it gets.
        arrived: Loop time of the request's arrival.
    """

    __slots__ = (
        "_arrived",
        "_event",
        "_events",
        "_exchange",
        "_loop",
        "_provider",
        "_referees",
        "_reply",
        "_timer",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        provider: Provider,
        referees: Sequence[Referee],
        exchange: Exchange,
        reply: Reply,
        arrived: float,
    ) -> None:
        self._loop = loop
        self._provider = provider
        self._referees = referees
        self._exchange = exchange
        self._reply = reply
        self._arrived = arrived
        self._timer: asyncio.TimerHandle | None = None
        self._events: Iterator[Event]
        self._event: Event | None = None

    def begin(self) -> None:
        """Answer at once, or set the timer."""
        reply = self._reply
        delay = reply.delay
        if reply.fault == "reset":
            delay = 0.0
        elif reply.fault == "disconnect":
            delay /= 2
        self._exchange.on_lost = self._lost
        if reply.fault == "hang":
            return
        end = self._end
        if reply.stream is not None and reply.fault not in {"reset", "disconnect"}:
            delay, end = reply.stream.first, self._begin_stream
        if delay > 0:
            self._timer = self._loop.call_later(delay, end)
        else:
            end()

    def _end(self) -> None:
        exchange, reply = self._exchange, self._reply
        exchange.on_lost = None
        self._settle()
        if reply.fault == "reset":
            exchange.reset()
        elif reply.fault == "disconnect":
            exchange.close()
        elif reply.fault == "truncate":
            exchange.truncate(reply.status, reply.headers, reply.body)
        else:
            exchange.answer(reply.status, reply.headers, reply.body)

    def _settle(self) -> None:
        now = self._loop.time()
        returned = self._provider.finish(self._reply, now)
        for referee in self._referees:
            referee.finish(self._reply, now, arrived=self._arrived, returned=returned)

    def _begin_stream(self) -> None:
        reply = self._reply
        assert reply.stream is not None
        for referee in self._referees:
            referee.begin_stream(self._loop.time(), arrived=self._arrived)
        self._events = iter(reply.stream.events)
        self._event = next(self._events, None)
        self._exchange.begin(reply.status, reply.headers)
        self._go_on(reply.stream)

    def _go_on(self, stream: Stream) -> None:
        """Write every event that is due, and set the timer for the next."""
        start = self._arrived + stream.first
        due = self._loop.time() + _EARLY
        frames: list[bytes] = []
        event = self._event
        while event is not None:
            at = start + event.token * stream.token_time
            if event.token and at > due:
                self._event = event
                self._timer = self._loop.call_at(at, self._go_on, stream)
                self._exchange.write(b"".join(frames))
                return
            frames.append(event.frame)
            event = next(self._events, None)
        self._event = None
        self._exchange.write(b"".join(frames))
        if stream.end == "stall":
            return  # until the client goes away
        self._exchange.on_lost = None
        self._settle()
        if stream.end == "cut":
            self._exchange.close()
        else:
            self._exchange.end()

    def _lost(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now = self._loop.time()
        for referee in self._referees:
            referee.finish(self._reply, now, arrived=self._arrived, sent=False)
