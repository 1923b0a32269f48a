"""
The body of an answer that is read in pieces, and the end of its attempt.

The attempt is settled when the body ends, is closed, breaks, or is dropped unread. Written as
classes with ``__anext__``: an async generator around another one cannot be closed while the inner
one is being finalised.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.thread_alarm import timer_thread
from ratedispatch.dispatch.wrap.collecting import is_collecting
from ratedispatch.dispatch.wrap.stream_usage import StreamUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.dispatch.wrap.ticket import Ticket


class Meter:
    """
    What passes of one answer, and the one end that its attempt has.

    Args:
        ticket: The ticket of the call.
        encoding: Content encoding of the answer.
    """

    __slots__ = ("_is_open", "_thread", "_ticket", "_usage", "feed")

    def __init__(self, ticket: Ticket, encoding: str) -> None:
        self._ticket = ticket
        self._usage = StreamUsage(encoding)
        self.feed = self._usage.feed
        self._is_open = True
        self._thread = timer_thread()
        self._thread.hold()

    def end(self, *, is_whole: bool) -> None:
        """Settle the attempt; *is_whole* if nothing more can come."""
        if not self._is_open:
            return
        if is_collecting():
            self._thread.post(functools.partial(self.end, is_whole=is_whole))
            return
        self._is_open = False
        self._thread.let_go()
        usage, has_ended = self._usage.end()
        self._ticket.settle(usage, is_whole=is_whole or has_ended)

    def lost(self) -> None:
        """
        Settle the attempt of an answer that nobody holds any more.

        Called by a finalizer, which may run while this very thread holds the lock of the queue.
        """
        if self._is_open:
            self._thread.post(functools.partial(self.end, is_whole=False))


def settle_at_end(response: Any, ticket: Ticket, headers: Mapping[str, str]) -> Any:
    """Return *response*, whose unread body settles *ticket* when it ends."""
    ticket.begin(headers)
    meter = Meter(ticket, headers.get("content-encoding", "").lower())
    stream = response.stream
    kind: Any = type(stream)
    response.stream = _kind_for(kind)(stream, meter)
    # the response, not its stream: one that was read has ended already
    weakref.finalize(response, meter.lost).atexit = False
    return response


class _Settled:
    """A body in pieces."""

    def __init__(self, stream: Any, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter
        self._parts: Any = None


class _Blocking(_Settled):
    def __iter__(self) -> _Blocking:
        self._parts = iter(self._stream)
        return self

    def __next__(self) -> bytes:
        try:
            part: bytes = next(self._parts)
        except BaseException as error:
            self._meter.end(is_whole=isinstance(error, StopIteration))
            raise
        self._meter.feed(part)
        return part

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._meter.end(is_whole=False)


class _Async(_Settled):
    def __aiter__(self) -> _Async:
        self._parts = aiter(self._stream)
        return self

    async def __anext__(self) -> bytes:
        try:
            part: bytes = await anext(self._parts)
        except BaseException as error:
            self._meter.end(is_whole=isinstance(error, StopAsyncIteration))
            raise
        self._meter.feed(part)
        return part

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._meter.end(is_whole=False)


@functools.lru_cache(maxsize=64)
def _kind_for(kind: Any) -> type[_Settled]:
    """
    The settled stream for streams of *kind*.

    httpx asks by type whether a stream is one of its own; its module is that of the client, of
    which there are two.
    """
    bases = {base.__name__: base for base in kind.__mro__}
    own = bases.get("AsyncByteStream") if "AsyncByteStream" in bases else bases["SyncByteStream"]
    mine = _Async if "AsyncByteStream" in bases else _Blocking
    return type(mine.__name__, (mine, own), {})  # type: ignore[arg-type]
