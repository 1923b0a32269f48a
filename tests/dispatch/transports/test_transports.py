"""What every transport owes the dispatcher: one contract, real HTTP, three clients."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any, cast

import aiohttp
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.broken import fault_of
from ratedispatch.dispatch.transports.bulk import BulkTransport
from ratedispatch.errors import AttemptTimeout, TransportError
from ratedispatch.simulate.provider.faults import FAULTS
from ratedispatch.simulate.server.server import FakeServer
from ratedispatch.simulate.settings import ProviderSettings
from tests.dispatch.transports.wire import (
    KEY,
    OK,
    Scripted,
    answer,
    chat,
    exchange,
    over,
    send,
    transport,
)


def test_an_answer_has_status_headers_and_json(kind: str) -> None:
    """Header names are lower-case; the body is decoded once."""
    response, _ = send(kind)
    assert response.status == 200
    assert response.is_json
    assert response.body["choices"]
    assert response.request_id is not None
    assert all(name == name.lower() for name in response.headers)


@pytest.mark.parametrize(
    ("fault", "status", "is_json"),
    [
        ("500", 500, True),
        ("503", 503, True),
        ("slow_down", 503, True),
        ("429", 429, True),
        ("html", 502, False),
        ("html200", 200, False),
    ],
)
def test_a_status_is_a_response_and_is_asked_for_once(
    kind: str, fault: str, status: int, is_json: bool
) -> None:
    """Nobody tries again but the dispatcher."""
    response, asked = send(kind, fault=fault)
    assert (response.status, response.is_json, asked) == (status, is_json, 1)
    assert isinstance(response.body, dict if is_json else str)


@pytest.mark.parametrize("fault", ["reset", "truncate", "disconnect"])
def test_a_broken_connection_was_reached(kind: str, fault: str) -> None:
    """It may have been executed and billed."""
    with pytest.raises(TransportError) as caught:
        send(kind, fault=fault)
    assert caught.value.reached
    assert not isinstance(caught.value, AttemptTimeout)


def test_every_fault_is_in_the_contract() -> None:
    """A fault that the fake server learns is missed here."""
    assert set(FAULTS) == {
        *("500", "503", "slow_down", "429", "html", "html200"),
        *("reset", "truncate", "disconnect", "hang"),
    }


def test_no_answer_is_a_timeout(kind: str) -> None:
    """Within the time that was given."""
    with pytest.raises(AttemptTimeout, match=r"0\.15 s"):
        send(kind, fault="hang", timeout=0.15)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://host.invalid/v1", "nonsense/v1"])
def test_no_connection_was_not_reached(kind: str, url: str) -> None:
    """Refused, no such host, no such protocol: nothing can have been billed."""
    with pytest.raises(TransportError) as caught:
        asyncio.run(exchange(kind, url, chat(), 5))
    assert not caught.value.reached
    assert " at 0x" not in str(caught.value) or kind != "bulk"


def test_no_handshake_was_not_reached(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes the connection and says nothing has got no request."""
    for module in ("bulk", "sdk", "broken"):
        monkeypatch.setattr(f"ratedispatch.dispatch.transports.{module}.CONNECT_TIMEOUT", 0.1)

    async def main() -> None:
        async with Scripted([OK]) as server:
            await exchange(kind, f"https://127.0.0.1:{server.port}/v1", chat(), 30)

    with pytest.raises(TransportError) as caught:
        asyncio.run(main())
    assert not caught.value.reached
    assert not isinstance(caught.value, AttemptTimeout)


LARGE = b'{"text": "' + b"x" * 5_000_000 + b'"}'
CHUNKED = (
    b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{"ok": \r\n5\r\ntrue}\r\n0\r\n\r\n'
)


@pytest.mark.parametrize(
    ("content", "body", "is_json"),
    [
        (answer(b""), "", False),
        (answer(b"", status="204 No Content"), "", False),
        (answer(b'{"ok": true}', "Content-Type: text/html"), {"ok": True}, True),
        (answer(b"no", "Content-Type: application/json"), "no", False),
        (answer(b'{"a": "\xff"}', "Content-Type: application/json"), {"a": "\ufffd"}, True),
        (answer(b'{"a": "b\n\tc"}'), {"a": "b\n\tc"}, True),
        (answer("\ufeff{}".encode()), {}, True),
        (answer(b'{"a": 10000000000000000000000000}'), {"a": 10**25}, True),
        (answer(b"[" * 100_000), "[" * 100_000, False),
        (answer(LARGE), json.loads(LARGE), True),
        (answer(gzip.compress(b'{"ok": 1}'), "Content-Encoding: gzip"), {"ok": 1}, True),
        (answer(zlib.compress(LARGE), "Content-Encoding: deflate"), json.loads(LARGE), True),
        (CHUNKED, {"ok": True}, True),
        (answer(b'{"error": 1}', status="400 Bad Request"), {"error": 1}, True),
        (answer(b'{"error": 1}', status="418 Odd"), {"error": 1}, True),
        (answer(b"{}", status="302 Found"), {}, True),
    ],
    ids=[
        *("empty", "none", "html_type", "no_json", "no_utf8", "raw", "bom", "long_int", "deep"),
        *("large", "gzip", "deflate", "chunked", "400", "418", "nowhere"),
    ],
)  # fmt: skip
def test_a_body_means_what_it_is(kind: str, content: bytes, body: Any, is_json: bool) -> None:
    """JSON is JSON whatever its type says, also with a damaged text; everything else is text."""
    response, _ = over(kind, content)
    assert response.is_json is is_json
    assert response.body == body


@pytest.mark.parametrize(
    "content",
    [
        answer(b"no gzip", "Content-Encoding: gzip"),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        CHUNKED.replace(b"\r\n7\r\n", b"\r\nseven\r\n"),
    ],
    ids=["no_gzip", "no_http", "no_chunk"],
)
def test_what_cannot_be_read_was_reached(kind: str, content: bytes) -> None:
    """The server has done something, whatever it is."""
    with pytest.raises(TransportError) as caught:
        over(kind, content)
    assert caught.value.reached
    assert not isinstance(caught.value, AttemptTimeout)


def test_headers_that_break_off_are_told_in_words() -> None:
    """Not as the object that aiohttp has got by then."""
    found = fault_of(aiohttp.ServerDisconnectedError(cast("Any", object())), 5.0)
    assert (found.reached, str(found)) == (True, "the answer ends within its headers")


def test_repeated_headers_are_joined(kind: str) -> None:
    """As RFC 9110 has it."""
    response, _ = over(kind, answer(b"{}", "X-A: 1", "x-a: 2", "X-Long: " + "x" * 7_000))
    assert response.headers["x-a"] == "1, 2"
    assert len(response.headers["x-long"]) == 7_000


@pytest.mark.parametrize("value", ["caf\u00e9", "caf\u00c3\u00a9"], ids=["latin-1", "utf-8"])
def test_headers_beyond_ascii_are_read(kind: str, value: str) -> None:
    """And can be written to a file afterwards."""
    response, _ = over(kind, answer(b"{}", f"X-A: {value}"))
    assert response.headers["x-a"] == "caf\u00e9"


def chain(error: BaseException | None) -> str:
    """Everything that a log could show of *error*."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.args)]
        error = error.__cause__ or error.__context__
    return " ".join(texts)


@pytest.mark.parametrize(
    "content",
    [
        b"no http\r\n\r\n",
        answer(b"no gzip", "Content-Encoding: gzip"),
        answer(b"", "Location: /v1/again", status="307 Temporary Redirect"),
        b"",
    ],
    ids=["no_http", "no_gzip", "circle", "closed"],
)
def test_no_error_shows_the_key(content: bytes) -> None:
    """aiohttp's errors hold the request's headers and URL; ours do not lead to them."""

    async def main() -> None:
        async with Scripted([content], closes=not content) as server:
            query = {"key": KEY}
            async with transport("bulk", server.url, default_query=query) as one:
                assert KEY not in repr(one)
                await one.send(chat(), 0.5)

    with pytest.raises(TransportError) as caught:
        asyncio.run(main())
    assert KEY not in chain(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "nonsense/v1", "http://host.invalid/v1"])
def test_no_error_before_sending_shows_the_key(url: str) -> None:
    """Not where the key stands in the query either."""

    async def main() -> None:
        async with transport("bulk", url, default_query={"key": KEY}) as one:
            await one.send(chat(), 5)

    with pytest.raises(TransportError) as caught:
        asyncio.run(main())
    assert KEY not in chain(caught.value)


def test_the_key_can_be_asked_for_by_name() -> None:
    """A job keeps it out of its files by it."""

    async def main() -> None:
        async with transport("bulk", "http://127.0.0.1:9/v1") as one:
            assert isinstance(one, BulkTransport)
            assert one.api_key == KEY
            assert one.base_url == "http://127.0.0.1:9/v1/"

    asyncio.run(main())


def test_nothing_grows_with_the_endpoints() -> None:
    """Even where each request has one of its own."""

    async def main() -> None:
        async with Scripted([OK]) as server, transport("bulk", server.url) as one:
            assert isinstance(one, BulkTransport)
            for number in range(100):
                await one.send(rd.Request({}, f"/v1/deployments/{number}/x"), 5)
            assert server.seen[-1].target == "/v1/deployments/99/x"
            assert len(one._urls) < 100

    asyncio.run(main())


def test_a_dispatcher_sends_through_it() -> None:
    """submit and map, with a limit, over a transport in place of a client."""

    async def main() -> None:
        server = FakeServer(ProviderSettings(latency=0.01))
        url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/v1"
        limits = rd.Limits(requests_per_minute=60_000, tokens_per_minute=10_000_000)
        async with (
            transport("bulk", url) as one,
            rd.Dispatcher(one, limits, connections=9) as dispatcher,
        ):
            assert isinstance(await dispatcher.submit(chat()), rd.Completed)
            outcomes = [o async for o in dispatcher.map(chat(str(i)) for i in range(20))]
            assert all(isinstance(o, rd.Completed) for o in outcomes)
            assert len(outcomes) == 20
        await server.stop()

    asyncio.run(main())
