"""Answers in events through the real SDK and real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

import ratedispatch as rd
from ratedispatch.dispatch.transports.bulk import bulk_for, plain_bulk
from ratedispatch.dispatch.transports.sdk import SdkTransport, make_client
from ratedispatch.errors import AttemptTimeout
from ratedispatch.request import COMPLETIONS
from ratedispatch.simulate.server.server import FakeServer
from ratedispatch.simulate.settings import ProviderSettings
from tests.dispatch.transports.wire import KEY, Scripted, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# the responses of the SDK came with 1.66
responses: Any = pytest.importorskip("openai.types.responses")

LIMITS = rd.Limits(60_000, 6e7)
HI = [{"role": "user", "content": "Who is Joseph Conrad?"}]


def chat(**more: Any) -> rd.Request:
    return rd.Request.chat(model="gpt-4o", messages=HI, max_tokens=20, custom_id="a", **more)


@pytest.fixture(params=["aiohttp", "httpx"])
def pool(request: pytest.FixtureRequest) -> Any:
    return request.param


@contextlib.asynccontextmanager
async def client_of(pool: str, url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    if pool == "aiohttp":
        made = make_client(base_url=url, api_key=KEY, max_connections=9)
    else:
        made = openai.AsyncOpenAI(base_url=url, api_key=KEY)
    async with made:
        yield made


@contextlib.asynccontextmanager
async def world(pool: str, **settings: Any) -> AsyncIterator[tuple[FakeServer, rd.Dispatcher]]:
    server = FakeServer(ProviderSettings(**{"latency": 0.01, "token_time": 0.001, **settings}))
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/v1"
    try:
        async with client_of(pool, url) as client, rd.Dispatcher(client, LIMITS) as dispatcher:
            yield server, dispatcher
    finally:
        await server.stop()


def test_events_are_the_objects_of_the_sdk(pool: str) -> None:
    async def main() -> None:
        async with world(pool) as (_, dispatcher):
            stream = dispatcher.stream(chat(stream_options={"include_usage": True}))
            chunks = [event async for event in stream]
            assert all(type(event) is ChatCompletionChunk for event in chunks)
            text = "".join(c.delta.content or "" for event in chunks for c in event.choices)
            assert isinstance(stream.outcome, rd.Completed)
            assert stream.outcome.text == text != ""
            assert stream.usage is not None
            assert stream.usage.output_tokens == chunks[-1].usage.completion_tokens

            events = [
                event
                async for event in dispatcher.stream(
                    rd.Request.responses(model="gpt-4o", input="hi", max_output_tokens=20)
                )
            ]
            assert type(events[0]) is responses.ResponseCreatedEvent
            assert type(events[-1]) is responses.ResponseCompletedEvent

            old = rd.Request({"model": "gpt-3.5-turbo-instruct", "prompt": "hi"}, COMPLETIONS)
            pieces = [event async for event in dispatcher.stream(old)]
            assert all(type(event) is Completion for event in pieces)
            assert dispatcher.snapshot().in_flight == 0

    asyncio.run(main())


def test_a_refusal_is_waited_out_and_an_answer_follows(pool: str) -> None:
    refused = answer(
        b'{"error": {"code": "rate_limit_exceeded", "message": "slow"}}',
        "Content-Type: application/json",
        "Retry-After: 0.01",
        status="429 Too Many Requests",
    )
    events = b"".join(
        b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": %b}]}\n\n'
        % end
        for end in (b"null", b'"stop"')
    )
    whole = answer(events + b"data: [DONE]\n\n", "Content-Type: text/event-stream")

    async def main() -> None:
        async with Scripted([refused, whole]) as server, client_of(pool, server.url) as client:
            async with rd.Dispatcher(client, LIMITS) as dispatcher:
                stream = dispatcher.stream(chat())
                assert len([event async for event in stream]) == 2
                assert stream.outcome is not None
                assert stream.outcome.attempts == 2
            assert b'"stream":true' in server.seen[0].body.replace(b" ", b"")
            assert b"stream_options" not in server.seen[0].body

    asyncio.run(main())


def test_leaving_the_loop_closes_the_connection(pool: str) -> None:
    async def main() -> None:
        async with world(pool, latency=0.05, token_time=0.5) as (server, dispatcher):
            async with dispatcher.stream(chat()) as events:
                async for _ in events:
                    break
                assert server.stats()["in_flight"] == 1
            assert dispatcher.snapshot().in_flight == 0
            for _ in range(200):
                if not server.stats()["in_flight"]:
                    break
                await asyncio.sleep(0.01)
            assert server.stats()["abandoned"] == 1

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["stream_cut", "stream_error"])
def test_what_breaks_in_the_middle_is_told(pool: str, fault: str) -> None:
    async def main() -> None:
        async with world(pool, faults={fault: 1.0}) as (server, dispatcher):
            with pytest.raises(rd.RequestFailed, match=r"after \d+ events") as caught:
                async for _ in dispatcher.stream(chat()):
                    pass
            assert KEY not in str(caught.value)
            assert dispatcher.snapshot().in_flight == 0
            assert server.stats()["arrived"] == 1

    asyncio.run(main())


def test_an_answer_in_one_piece_comes_whole(pool: str) -> None:
    body = b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'

    async def main() -> None:
        whole = answer(body, "Content-Type: application/json")
        async with (
            Scripted([whole]) as server,
            client_of(pool, server.url) as client,
            rd.Dispatcher(client, LIMITS) as dispatcher,
        ):
            with pytest.raises(rd.RequestFailed, match="in one piece") as caught:
                async for _ in dispatcher.stream(chat()):
                    pass
            assert isinstance(caught.value.outcome, rd.Completed)
            assert caught.value.outcome.text == "hi"

    asyncio.run(main())


def test_a_head_that_does_not_come_is_late_and_a_port_without_server_is_unreached(
    pool: str,
) -> None:
    async def main() -> None:
        async with Scripted([b""], delay=30) as server, client_of(pool, server.url) as client:
            with pytest.raises(AttemptTimeout, match=r"no answer within 0\.2 s"):
                await SdkTransport(client).stream(chat(), 0.2)
            url = server.url
        async with client_of(pool, url) as client:
            with pytest.raises(rd.TransportError) as caught:
                await SdkTransport(client).stream(chat(), 5)
            assert not caught.value.reached
            assert caught.value.__cause__ is None

    asyncio.run(main())


def test_a_bulk_transport_streams_through_its_client() -> None:
    events = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    whole = answer(events, "Content-Type: text/event-stream")

    async def main() -> None:
        async with Scripted([whole]) as server, client_of("httpx", server.url) as client:
            bulk = bulk_for(client, 9)
            assert bulk is not None
            async with bulk, rd.Dispatcher(bulk, LIMITS) as dispatcher:
                (event,) = [event async for event in dispatcher.stream(chat())]
                assert type(event) is ChatCompletionChunk
        plain = plain_bulk("http://127.0.0.1/v1", KEY, 9, {})
        assert plain is not None
        with pytest.raises(TypeError, match="answers cannot be streamed without a client"):
            await plain.stream(chat(), 5)

    asyncio.run(main())


def test_a_body_that_is_no_json_fails_at_once(pool: str) -> None:
    """It would not become any the next time."""

    async def main() -> None:
        async with Scripted([b""]) as server, client_of(pool, server.url) as client:
            with pytest.raises((TypeError, ValueError)):
                await SdkTransport(client).stream(chat(odd={1, 2}), 5)
            assert server.seen == []

    asyncio.run(main())


def test_a_redirect_on_the_same_server_is_followed(pool: str) -> None:
    away = answer(b"", "Location: /v1/other", status="307 Temporary Redirect")
    events = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    whole = answer(events, "Content-Type: text/event-stream")

    async def main() -> list[str]:
        async with Scripted([away, whole]) as server, client_of(pool, server.url) as client:
            opened: Any = await SdkTransport(client).stream(chat(), 5)
            assert len([event async for event in opened]) == 1
            await opened.aclose()
            return [seen.target for seen in server.seen]

    assert asyncio.run(main()) == ["/v1/chat/completions", "/v1/other"]
