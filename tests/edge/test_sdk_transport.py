"""The real SDK over real HTTP: what each fault becomes, on both of its HTTP clients."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.errors import AttemptTimeout, TransportError
from ratedispatch.testing.server import FakeServer
from ratedispatch.testing.settings import ProviderSettings
from ratedispatch.transports.sdk import SdkTransport, make_client


def chat(text: str = "hi") -> rd.Request:
    return rd.Request.chat(
        model="gpt-4o", messages=[{"role": "user", "content": text}], max_tokens=5, custom_id="c-1"
    )


async def exchange(base_url: str, kind: str, request: rd.Request, timeout: float) -> rd.Response:
    """Send once; *kind* is the HTTP client below the SDK."""
    if kind == "aiohttp":
        client = make_client(base_url=base_url, api_key="sk-123456789", max_connections=9)
    else:
        client = openai.AsyncOpenAI(base_url=base_url, api_key="sk-123456789")
    async with client:
        return await SdkTransport(client).send(request, timeout)


def send(
    kind: str, *, fault: str | None = None, text: str = "hi", timeout: float = 5.0
) -> tuple[rd.Response, int]:
    """Send once to a server with *fault*; return the response, and how often it was asked."""

    async def main() -> tuple[rd.Response, int]:
        faults = {fault: 1.0} if fault is not None else {}
        server = FakeServer(ProviderSettings(latency=0.01, faults=faults, charge="characters"))
        port = await server.start("127.0.0.1", 0)
        try:
            url = f"http://127.0.0.1:{port}/v1"
            response = await exchange(url, kind, chat(text), timeout)
            return response, server.stats()["arrived"]
        finally:
            await server.stop()

    return asyncio.run(main())


@pytest.fixture(params=["aiohttp", "httpx2"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_an_answer_has_status_headers_and_json(kind: str) -> None:
    """Header names are lower-case; the body is decoded once."""
    response, _ = send(kind)
    assert response.status == 200
    assert response.is_json
    assert response.body["choices"]
    assert response.request_id is not None
    assert all(name == name.lower() for name in response.headers)


@pytest.mark.parametrize(("fault", "status", "is_json"), [("500", 500, True), ("429", 429, True),
                                                        ("html200", 200, False)])  # fmt: skip
def test_a_status_is_a_response_and_is_asked_for_once(
    kind: str, fault: str, status: int, is_json: bool
) -> None:
    """The SDK's own retries are off, also on a client that has them on."""
    response, asked = send(kind, fault=fault)
    assert (response.status, response.is_json, asked) == (status, is_json, 1)


@pytest.mark.parametrize("fault", ["reset", "truncate", "disconnect"])
def test_a_broken_connection_was_reached(kind: str, fault: str) -> None:
    """It may have been executed and billed."""
    with pytest.raises(TransportError) as caught:
        send(kind, fault=fault)
    assert caught.value.reached
    assert not isinstance(caught.value, AttemptTimeout)


def test_no_answer_is_a_timeout(kind: str) -> None:
    """Within the time that was given."""
    with pytest.raises(AttemptTimeout, match=r"0\.15 s"):
        send(kind, fault="hang", timeout=0.15)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://host.invalid/v1", "nonsense/v1"])
def test_no_connection_was_not_reached(kind: str, url: str) -> None:
    """Refused, no such host, no such protocol: nothing can have been billed."""
    with pytest.raises(TransportError) as caught:
        asyncio.run(exchange(url, kind, chat(), 5))
    assert not caught.value.reached


def test_half_of_a_surrogate_pair_is_sent_as_a_replacement(kind: str) -> None:
    """It has no UTF-8; the rest of the text arrives."""
    assert send(kind, text="half \ud800 pair")[0].status == 200


def test_the_dispatcher_over_a_users_own_client() -> None:
    """submit and map, with what a user has: a plain AsyncOpenAI."""

    async def main() -> None:
        server = FakeServer(ProviderSettings(latency=0.01))
        url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-1") as client:
            limits = rd.Limits(requests_per_minute=60_000, tokens_per_minute=10_000_000)
            async with rd.Dispatcher(client, limits) as dispatcher:
                outcome = await dispatcher.submit(chat())
                assert isinstance(outcome, rd.Completed)
                outcomes = [o async for o in dispatcher.map(chat(str(i)) for i in range(20))]
                assert all(isinstance(o, rd.Completed) for o in outcomes)
                assert len(outcomes) == 20
        await server.stop()

    asyncio.run(main())


def test_a_slow_trickle_is_cut_off_as_a_whole() -> None:
    """A byte every 50 ms satisfies a bound on each read for ever."""

    async def main() -> None:
        async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            try:
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            except ConnectionError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = make_client(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-1", max_connections=1
        )
        async with server, client:
            with pytest.raises(AttemptTimeout):
                await SdkTransport(client).send(chat(), 0.2)

    asyncio.run(main())
