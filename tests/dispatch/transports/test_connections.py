"""How every transport opens, keeps and gives up its connections."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.http_library import http
from ratedispatch.errors import AttemptTimeout, TransportError
from ratedispatch.simulate.server.server import FakeServer
from ratedispatch.simulate.settings import ProviderSettings
from tests.certificate import CERTIFICATE
from tests.dispatch.transports.wire import (
    OK,
    ON_AIOHTTP,
    Scripted,
    Seen,
    answer,
    chat,
    exchange,
    transport,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_cancelled_request_leaves_no_answer_behind(kind: str) -> None:
    """The next one on the only connection gets its own."""

    async def main() -> tuple[rd.Response, int]:
        answers = [answer(b'{"of": 1}'), answer(b'{"of": 2}')]
        async with (
            Scripted(answers, delay=0.1) as server,
            transport(kind, server.url, connections=1) as one,
        ):
            first = asyncio.create_task(one.send(chat(), 5))
            await server.asked.wait()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await one.send(chat(), 5), server.opened

    response, opened = asyncio.run(main())
    assert response.body == {"of": 2}
    assert opened == 2


def test_cancelling_leaves_no_connection_taken() -> None:
    """Whenever it happens: in the queue, while connecting, sending, waiting, reading."""

    async def main() -> None:
        async with (
            Scripted([OK], delay=0.005) as server,
            transport("bulk", server.url, connections=10) as one,
        ):
            tasks = [asyncio.create_task(one.send(chat(), 5)) for _ in range(200)]
            for task in tasks[1::2]:
                await asyncio.sleep(0.0005)
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, rd.Response) for result in results[::2])
            await asyncio.gather(*(one.send(chat(), 5) for _ in range(10)))

    asyncio.run(main())


def test_a_connection_is_used_again(kind: str) -> None:
    """One after the other over one."""

    async def main() -> int:
        async with Scripted([OK]) as server, transport(kind, server.url) as one:
            for _ in range(3):
                await one.send(chat(), 5)
            return server.opened

    assert asyncio.run(main()) == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced(kind: str) -> None:
    """Servers close idle ones without a word."""

    async def main() -> int:
        async with (
            Scripted([OK], closes=True) as server,
            transport(kind, server.url) as one,
        ):
            for _ in range(3):
                await one.send(chat(), 5)
                await asyncio.sleep(0.02)
            return server.opened

    assert asyncio.run(main()) == 3


def test_what_a_server_may_have_taken_is_never_sent_twice(kind: str) -> None:
    """A connection that ends under a request is reported: whether to pay again is not ours."""

    async def main() -> list[Seen]:
        async with (
            Scripted([OK, b""]) as server,
            transport(kind, server.url) as one,
        ):
            await one.send(chat(), 5)
            server.closes = True
            with pytest.raises(TransportError) as caught:
                await one.send(chat(), 5)
            assert caught.value.reached
            return server.seen

    assert len(asyncio.run(main())) == 2


def test_three_hundred_at_once(kind: str) -> None:
    """Each gets its own answer; none is lost and none is sent twice."""

    async def main() -> None:
        server = FakeServer(ProviderSettings(latency=0.05))
        url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/v1"
        async with transport(kind, url, connections=300) as one:
            requests = [chat(name=f"c-{number}") for number in range(300)]
            responses = await asyncio.gather(*(one.send(request, 20) for request in requests))
        assert {response.status for response in responses} == {200}
        contents = {response.body["choices"][0]["message"]["content"] for response in responses}
        assert len(contents) == 300
        assert server.stats()["arrived"] == 300
        await server.stop()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["bulk", "sdk"])
def test_no_more_connections_than_allowed(kind: str) -> None:
    """What is sent beyond them waits, as long as its time lasts."""

    async def main() -> None:
        async with (
            Scripted([OK], delay=0.03) as server,
            transport(kind, server.url, connections=2) as one,
        ):
            await asyncio.gather(*(one.send(chat(), 5) for _ in range(6)))
            assert server.opened == 2
            sent = (one.send(chat(), 0.045) for _ in range(6))
            results = await asyncio.gather(*sent, return_exceptions=True)
            assert any(isinstance(result, AttemptTimeout) for result in results)

    asyncio.run(main())


def test_a_slow_trickle_is_cut_off_as_a_whole(kind: str) -> None:
    """A byte every 50 ms satisfies a bound on each read for ever."""

    async def main() -> None:
        ended = asyncio.Event()

        async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            writer.close()
            ended.set()

        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            with pytest.raises(AttemptTimeout):
                await exchange(kind, f"http://127.0.0.1:{port}/v1", chat(), 0.2)
            await ended.wait()

    asyncio.run(main())


def test_certificates_are_checked(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that nobody vouches for is no connection; ``SSL_CERT_FILE`` vouches."""
    pem = tmp_path / "localhost.pem"
    pem.write_text(CERTIFICATE, "ascii")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)

    async def main() -> rd.Response:
        async with Scripted([OK], context=context) as server:
            return await exchange(kind, f"https://localhost:{server.port}/v1", chat(), 5)

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with pytest.raises(
        TransportError, match="BUNDLE is not used here: name its file in S"
    ) as caught:
        asyncio.run(main())
    assert not caught.value.reached
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert asyncio.run(main()).status == 200


def test_a_port_without_tls_is_told() -> None:
    """A base URL with one letter too many."""

    async def in_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer(b"", status="400 Bad Request"))
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(in_clear, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await exchange("bulk", f"https://127.0.0.1:{port}/v1", chat(), 20)

    with pytest.raises(TransportError, match="should the URL begin with http://") as caught:
        asyncio.run(main())
    assert not caught.value.reached


def test_the_proxy_of_the_environment_is_used(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the host is excepted."""
    if kind in ("bulk", "direct") and not ON_AIOHTTP:
        pytest.skip("a client whose pool is the SDK's own keeps its proxy to itself")

    async def main() -> list[Seen]:
        async with Scripted([OK]) as proxy, Scripted([OK]) as server:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            if kind == "sdk as it comes":
                monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            await exchange(kind, "http://host.invalid/v1", chat(), 5)
            # httpx, of the SDK before 3, knows no networks
            excepted = "127.0.0.0/8" if http.__name__ == "httpx2" else "127.0.0.1"
            monkeypatch.setenv("NO_PROXY", f"{excepted},host.example")
            await exchange(kind, server.url, chat(), 5)
            assert len(server.seen) == 1
            return proxy.seen

    (seen,) = asyncio.run(main())
    assert seen.target == "http://host.invalid/v1/chat/completions"
    assert seen.headers["host"] == "host.invalid"


@pytest.mark.skipif(not ON_AIOHTTP, reason="the SDK's own pool keeps its proxy to itself")
def test_a_proxy_that_refuses_was_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tunnel, so nothing was sent to the provider."""

    async def main() -> None:
        async with Scripted([answer(b"", status="407 Proxy Authentication Required")]) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            await exchange("bulk", "https://host.invalid/v1", chat(), 5)

    with pytest.raises(TransportError, match=r"407.*over the proxy http://127\.0\.0\.1") as caught:
        asyncio.run(main())
    assert not caught.value.reached


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(
    kind: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever sends, without the password."""
    if kind in ("bulk", "direct") and not ON_AIOHTTP:
        pytest.skip("a client whose pool is the SDK's own keeps its proxy to itself")
    password = "me:secret@" if kind == "sdk as it comes" else ""  # aiohttp warns of its own way
    proxy = f"http://{password}127.0.0.1:9"
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises(TransportError, match=r"over the proxy http://127\.0\.0\.1:9\)") as caught:
        asyncio.run(exchange(kind, f"{scheme}://host.invalid/v1", chat(), 5))
    assert not caught.value.reached
    assert "secret" not in str(caught.value)
