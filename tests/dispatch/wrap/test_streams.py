"""The attempt of a streamed answer: settled at its end, when closed, on error, and when dropped."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.http_library import http as httpx
from ratedispatch.dispatch.wrap.stream_usage import StreamUsage
from ratedispatch.outcome import Usage
from ratedispatch.testing import run_virtual
from ratedispatch.tokens import ChargePolicy
from tests.dispatch.wrap.upstream import ASK, RATE, Upstream, async_client, gate, sync_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def chunk(text: str, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [choice],
        "usage": None,
        **fields,
    }


USAGE = {"prompt_tokens": 14, "completion_tokens": 3, "total_tokens": 17}
CHUNKS = [chunk("a"), chunk('"usage": {"prompt_tokens": 999}'), chunk("c")]
WITH_USAGE = [*CHUNKS, chunk("", choices=[], usage=USAGE)]


def sse(events: list[dict[str, Any]]) -> list[bytes]:
    return [f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"]


class Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces, which may break off before its end."""

    def __init__(self, parts: list[bytes], breaks: bool = False) -> None:
        self._parts = parts
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        if self._breaks:
            raise httpx.ReadError("cut off")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


PAYS = rd.Limits(tokens_per_minute=60_000)

#: A provider that gives back what an answer did not use.
GIVES_BACK = ChargePolicy("gives back", refunds=True)


def used(paces: rd.Gate) -> float:
    """Return the tokens that were spent and did not come back; nothing is in flight."""
    state = paces.snapshot()
    assert (state.in_flight, state.waiting) == (0, 0)
    return state.levels[0].spent - state.levels[0].returned


@pytest.mark.parametrize(
    ("events", "tokens"), [(WITH_USAGE, 17), (CHUNKS, 23)], ids=["usage", "no usage"]
)
def test_a_stream_is_settled_at_its_end(events: list[dict[str, Any]], tokens: int) -> None:
    """With what it says that it used; where it says nothing, the reservation stays."""
    upstream = Upstream((200, Parts(sse(events))))

    async def main() -> None:
        paces = gate(PAYS, policy=GIVES_BACK)
        client = rd.wrap(async_client(upstream), paces)
        texts = []
        async for each in await client.chat.completions.create(**ASK, stream=True):
            assert paces.snapshot().in_flight == 1
            texts += [choice.delta.content for choice in each.choices]
        assert texts[0] == "a"
        assert used(paces) == tokens
        assert b"include_usage" not in upstream.seen[0].content

    run_virtual(main())


def test_a_blocking_stream_is_settled_at_its_end() -> None:
    """In threads, too."""
    paces = rd.Gate(PAYS, policy=GIVES_BACK)
    client = rd.wrap(sync_client(Upstream((200, Parts(sse(WITH_USAGE))))), paces)
    for _ in client.chat.completions.create(**ASK, stream=True):
        assert paces.snapshot().in_flight == 1
    assert used(paces) == 17


def test_a_packed_stream_is_read_on_the_side() -> None:
    """What reaches the caller is unpacked by httpx as ever."""
    packed = gzip.compress(b"".join(sse(WITH_USAGE)))
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    pieces = [packed[place : place + 20] for place in range(0, len(packed), 20)]
    paces = rd.Gate(PAYS, policy=GIVES_BACK)
    client = rd.wrap(sync_client(Upstream((200, Parts(pieces), headers))), paces)
    assert len(list(client.chat.completions.create(**ASK, stream=True))) == 4
    assert used(paces) == 17


def test_a_stream_that_is_closed_is_settled() -> None:
    """Its use is not known, so that the reservation stays."""
    upstream = Upstream((200, Parts(sse(CHUNKS))))

    async def main() -> None:
        paces = gate(PAYS, policy=GIVES_BACK)
        client = rd.wrap(async_client(upstream), paces)
        async with await client.chat.completions.create(**ASK, stream=True) as stream:
            async for _ in stream:
                break
        assert used(paces) == 23

    run_virtual(main())


def test_a_stream_that_breaks_is_settled() -> None:
    """The error is the caller's."""
    upstream = Upstream((200, Parts(sse(CHUNKS)[:1], breaks=True)))

    async def main() -> None:
        paces = gate(PAYS, policy=GIVES_BACK)
        client = rd.wrap(async_client(upstream), paces)
        stream = await client.chat.completions.create(**ASK, stream=True)
        with pytest.raises((httpx.ReadError, openai.APIConnectionError)):
            _ = [each async for each in stream]
        assert used(paces) == 23

    run_virtual(main())


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_stream_that_is_dropped_is_settled(is_begun: bool) -> None:
    """Nobody closes it: the collector of garbage does, through the thread of the timers."""
    paces = rd.Gate(PAYS, policy=GIVES_BACK)
    client = rd.wrap(sync_client(Upstream((200, Parts(sse(CHUNKS))))), paces)
    stream = client.chat.completions.create(**ASK, stream=True)
    if is_begun:
        next(iter(stream))
    assert paces.snapshot().in_flight == 1
    del stream
    gc.collect()
    until = time.perf_counter() + 5
    while paces.snapshot().in_flight and time.perf_counter() < until:
        time.sleep(0.001)
    assert used(paces) == 23


def in_a_cycle(client: openai.OpenAI) -> None:
    """Leave a stream in the middle, for the collector to close."""
    events = iter(client.chat.completions.create(**ASK, stream=True))
    next(events)
    held: list[Any] = [events]
    held.append(held)


def test_a_lost_stream_gives_its_place_to_who_waits_for_it() -> None:
    """All calls wait, so that nothing is made, and no garbage would be collected by itself."""
    paces = rd.Gate(PAYS, policy=GIVES_BACK, max_in_flight=1)
    client = rd.wrap(sync_client(Upstream((200, Parts(sse(CHUNKS))))), paces)
    gc.disable()
    try:
        in_a_cycle(client)
        waits = threading.Thread(target=client.chat.completions.create, kwargs=ASK, daemon=True)
        waits.start()
        until = time.perf_counter() + 5
        while not paces.snapshot().waiting and time.perf_counter() < until:
            time.sleep(0.001)
        for _ in range(2):  # a place that is taken may be given back by the next look
            assert waits.is_alive()
            paces.streams.look()
        waits.join(5)
        assert not waits.is_alive()
    finally:
        gc.enable()
    assert used(paces) == 23 + 16


def test_garbage_is_collected_more_and_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that are still read keep their places, whatever waits."""
    paces = rd.Gate(PAYS, max_in_flight=1)
    client = rd.wrap(sync_client(Upstream((200, Parts(sse(CHUNKS))))), paces)
    collected: list[int] = []
    looks: list[None] = []
    with client.chat.completions.create(**ASK, stream=True) as stream:
        waits = threading.Thread(target=client.chat.completions.create, kwargs=ASK, daemon=True)
        waits.start()
        until = time.perf_counter() + 5
        while not paces.snapshot().waiting and time.perf_counter() < until:
            time.sleep(0.001)
        with monkeypatch.context() as patch:
            patch.setattr(gc, "collect", lambda: collected.append(len(looks)))
            for _ in range(200):
                paces.streams.look()
                looks.append(None)
        assert len(list(stream)) == 3
    waits.join(5)
    assert collected == [1, 3, 9, 27, 81, 141]
    assert paces.snapshot().in_flight == 0


def abandoned(paces: rd.Gate) -> None:
    """Leave a call in the air, of an event loop that was given up."""

    async def sent(_: httpx.Request) -> httpx.Response:
        raise AssertionError(await asyncio.get_running_loop().create_future())

    http = httpx.AsyncClient(transport=httpx.MockTransport(sent))
    client = rd.wrap(openai.AsyncOpenAI(api_key="k", http_client=http), paces)

    async def begin() -> None:
        call = asyncio.ensure_future(client.chat.completions.create(**ASK))
        for _ in range(5_000):  # the first text is counted in a thread
            if paces.snapshot().in_flight:
                break
            await asyncio.sleep(0.001)
        assert paces.snapshot().in_flight == 1
        assert not call.done()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # it would tell of a task that is pending
    loop.run_until_complete(begin())
    loop.close()


@pytest.mark.parametrize("is_stream", [True, False])
def test_what_is_collected_while_the_queue_is_locked_waits_for_it(is_stream: bool) -> None:
    """The collector may run in the thread that holds the lock."""
    paces = rd.Gate(PAYS, policy=GIVES_BACK)
    client = rd.wrap(sync_client(Upstream((200, Parts(sse(CHUNKS))))), paces)
    route = paces._routes.only
    assert route is not None

    def collect() -> None:
        in_a_cycle(client) if is_stream else abandoned(paces)
        with route.admission.lock:
            gc.collect()

    gc.disable()
    try:
        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    finally:
        gc.enable()
    until = time.perf_counter() + 5
    while paces.snapshot().in_flight and time.perf_counter() < until:
        time.sleep(0.001)
    assert used(paces) == 23


def test_a_stream_that_is_refused_is_sent_again() -> None:
    """And an error of a stream has its body."""
    upstream = Upstream(
        (429, RATE), (400, {"error": {"message": "no such thing"}}), (200, Parts(sse(CHUNKS)))
    )

    async def main() -> None:
        paces = gate(rd.Limits(60_000))
        client = rd.wrap(async_client(upstream), paces)
        with pytest.raises(openai.BadRequestError, match="no such thing"):
            await client.chat.completions.create(**ASK, stream=True)
        stream = await client.chat.completions.create(**ASK, stream=True)
        assert len([each async for each in stream]) == 3
        used(paces)

    run_virtual(main())
    assert len(upstream.seen) == 3


def test_a_response_tells_its_usage_at_its_end() -> None:
    """The last event has all of it, after more text than is kept."""
    usage = {"input_tokens": 14, "output_tokens": 3, "total_tokens": 17}
    reader = StreamUsage()
    reader.feed(b'event: response.created\ndata: {"response": {"usage": null}}\n\n')
    reader.feed(
        b'data: {"type": "response.output_text.delta", "delta": "' + b"x" * 99_999 + b'"}\n'
    )
    last = json.dumps({"type": "response.completed", "response": {"usage": usage, "user": None}})
    for letter in last.encode():
        reader.feed(bytes([letter]))
    assert reader.end() == (Usage(14, 3), True)


@pytest.mark.parametrize(
    ("encoding", "parts"),
    [("br", [b"\x01\x02"]), ("gzip", [b"no gzip at all"]), ("", [b'"usage": {"prompt_'])],
)
def test_what_cannot_be_read_is_not_known(encoding: str, parts: list[bytes]) -> None:
    """Nothing is raised for it."""
    reader = StreamUsage(encoding)
    for part in parts:
        reader.feed(part)
    assert reader.end() == (None, False)


def test_the_head_of_a_stream_corrects_the_buckets_at_once() -> None:
    """Another program has spent all of it: the bucket is empty before the stream has ended."""
    head = {
        "content-type": "text/event-stream",
        "x-ratelimit-limit-requests": "6000",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "60s",
    }
    upstream = Upstream((200, Parts(sse(CHUNKS)), head))

    async def main() -> None:
        paces = gate(rd.Limits(6_000))
        client = rd.wrap(async_client(upstream), paces)
        before = paces.snapshot().levels[0].available
        async with await client.chat.completions.create(**ASK, stream=True):
            after = paces.snapshot().levels[0].available
        assert (before, after) == (70, 0)
        assert paces.snapshot().in_flight == 0

    run_virtual(main())
