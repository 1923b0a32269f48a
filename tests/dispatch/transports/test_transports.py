"""What every transport owes the dispatcher: one contract, real HTTP, three clients."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gzip
import json
import ssl
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pydantic
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.bulk import BulkTransport, bulk_for
from ratedispatch.dispatch.transports.read_client import unsupported_reason
from ratedispatch.dispatch.transports.sdk import make_client
from ratedispatch.errors import AttemptTimeout, TransportError
from ratedispatch.request import ENDPOINTS
from ratedispatch.simulate.provider.faults import FAULTS
from ratedispatch.simulate.server.server import FakeServer
from ratedispatch.simulate.settings import ProviderSettings
from tests.dispatch.transports.wire import (
    CERTIFICATE,
    KEY,
    OK,
    Scripted,
    Seen,
    answer,
    chat,
    exchange,
    over,
    send,
    transport,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# what comes back


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
        (answer(b'{"a": "\xff"}', "Content-Type: application/json"), '{"a": "\ufffd"}', False),
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
        *("empty", "none", "html_type", "no_json", "no_utf8", "bom", "long_int", "deep"),
        *("large", "gzip", "deflate", "chunked", "400", "418", "nowhere"),
    ],
)  # fmt: skip
def test_a_body_means_what_it_is(kind: str, content: bytes, body: Any, is_json: bool) -> None:
    """JSON is JSON whatever its type says, and everything else is text."""
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


# what is sent


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_every_endpoint_is_answered(kind: str, endpoint: str) -> None:
    """Where a Batch file can point to."""
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
        "/v1/responses": {"input": "hi"},
        "/v1/embeddings": {"input": "hi"},
        "/v1/completions": {"prompt": "hi"},
        "/v1/moderations": {"input": "hi"},
    }
    response, _ = send(kind, rd.Request({"model": "m", **bodies[endpoint]}, endpoint))
    assert (response.status, response.is_json) == (200, True)


class Point(pydantic.BaseModel):
    x: int = 0
    y: int = 0


def test_a_body_is_written_as_the_sdk_writes_it(kind: str) -> None:
    """Byte for byte: UTF-8, no spaces, keys in their order, whole numbers of any length."""
    more = {
        "number": 10**25,
        "share": 0.1,
        "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "point": Point(x=1),
    }
    _, (seen,) = over(kind, request=rd.Request({"text": "n\u00e4h \U0001f600 \u2028", **more}))
    assert seen.body.decode() == (
        '{"text":"n\u00e4h \U0001f600 \u2028","number":10000000000000000000000000,"share":0.1,'
        '"when":"2026-01-02T00:00:00+00:00","point":{"x":1}}'
    )


def test_half_of_a_surrogate_pair_is_sent_as_a_replacement(kind: str) -> None:
    """It has no UTF-8; the rest of the text arrives."""
    _, (seen,) = over(kind, request=rd.Request({"a": "half \ud800 pair", "b": "\U0001f600"}))
    assert json.loads(seen.body) == {"a": "half \ufffd pair", "b": "\U0001f600"}


def test_such_a_request_can_be_refused(kind: str) -> None:
    """It is a response like any other."""
    refusal = answer(b'{"error": 1}', status="400 Bad Request")
    response, _ = over(kind, refusal, request=rd.Request({"a": "\ud800"}))
    assert (response.status, response.body) == (400, {"error": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_is_no_json_is_not_sent(kind: str, value: object) -> None:
    """It raises what `json.dumps` raises: the request's own fault, not the connection's."""
    with pytest.raises((ValueError, TypeError), match="JSON"):
        over(kind, request=rd.Request({"a": value}))


def test_a_large_body_arrives(kind: str) -> None:
    """3 MB, as with an image."""
    with warnings.catch_warnings():
        if kind == "sdk":
            warnings.simplefilter("ignore", ResourceWarning)  # aiohttp's advice to the SDK
        _, (seen,) = over(kind, request=chat("x" * 3_000_000))
    assert len(seen.body) > 3_000_000


@pytest.mark.parametrize(
    ("path", "endpoint", "target"),
    [
        ("/v1", "/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions", "/v1/chat/completions"),
        ("/a%20b/c", "/v1/embeddings", "/a%20b/c/embeddings"),
        ("", "/v1/responses", "/responses"),
        ("/v1", "/v1/engines/a%2Fb/embeddings", "/v1/engines/a%2Fb/embeddings"),
        ("/v1", "/v1/chat/completions?a=b", "/v1/chat/completions?a=b"),
    ],
)
def test_an_endpoint_lies_below_the_base_url(
    kind: str, path: str, endpoint: str, target: str
) -> None:
    """With and without a slash, and below a path of the provider's."""
    _, seen = over(kind, request=rd.Request({}, endpoint), path=path, times=2)
    assert [one.target for one in seen] == [target, target]


def test_an_endpoint_that_is_a_url_goes_there(kind: str) -> None:
    """As in the SDK."""

    async def main() -> list[Seen]:
        async with Scripted([OK]) as server:
            request = rd.Request({}, f"http://127.0.0.1:{server.port}/elsewhere")
            await exchange(kind, "http://host.invalid/v1", request, 5)
            return server.seen

    assert [one.target for one in asyncio.run(main())] == ["/elsewhere"]


def test_the_query_of_the_client_is_sent(kind: str) -> None:
    """Nested and repeated as the SDK writes them, over what the endpoint has."""
    query = {"api-version": "2024 x", "list": ["a", "b"], "map": {"k": "v"}}
    request = rd.Request({}, "/v1/embeddings?own=1&api-version=old")
    _, (seen,) = over(kind, request=request, default_query=query)
    assert sorted(httpx2.URL(seen.target).params.multi_items()) == [
        ("api-version", "2024 x"),
        ("list[]", "a"),
        ("list[]", "b"),
        ("map[k]", "v"),
        ("own", "1"),
    ]


def test_the_headers_of_the_client_are_sent(kind: str) -> None:
    """Its own, the organization's and the project's, and those of JSON."""
    _, (seen,) = over(kind, default_headers={"X-Own": "1"}, organization="org-1", project="proj-1")
    wanted = {
        "authorization": f"Bearer {KEY}",
        "accept": "application/json",
        "content-type": "application/json",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
        "x-own": "1",
        "x-client-request-id": "c-1",
    }
    assert {name: seen.headers.get(name) for name in wanted} == wanted


def test_headers_of_the_client_replace_and_remove(kind: str) -> None:
    """Names in any case; ``Omit`` takes one away."""
    headers = {"authorization": "Token t", "user-agent": "mine/1", "OpenAI-Project": openai.Omit()}
    _, (seen,) = over(kind, default_headers=headers, organization="org-1", project="proj-1")
    assert seen.headers["authorization"] == "Token t"
    assert seen.headers["user-agent"] == "mine/1"
    assert "openai-project" not in seen.headers


def test_who_sends_is_named() -> None:
    """And the SDK is not, which sends nothing here."""
    _, (seen,) = over("bulk")
    assert seen.headers["user-agent"].startswith("ratedispatch/")
    assert not any(name.startswith("x-stainless") for name in seen.headers)


@pytest.mark.parametrize("name", [None, "", "n\u00e4me", "a" * 513, "a\nb"])
def test_a_name_that_no_header_can_hold_is_left_out(kind: str, name: str | None) -> None:
    """OpenAI would refuse it."""
    _, (seen,) = over(kind, request=chat(name=name))
    assert "x-client-request-id" not in seen.headers


def test_a_key_that_is_a_function_is_asked_each_time(kind: str) -> None:
    """A token that is about to expire is replaced in the middle of a job."""
    keys = iter(["first", "second"])

    async def key() -> str:
        return next(keys)

    _, seen = over(kind, times=2, api_key=key)
    assert [one.headers["authorization"] for one in seen] == ["Bearer first", "Bearer second"]


def test_a_key_that_cannot_be_had_is_no_fault_of_the_connection(kind: str) -> None:
    """What the function raises comes through; no key at all is never sent."""

    async def broken() -> str:
        raise LookupError("vault is sealed")

    async def empty() -> str:
        return ""

    async def odd() -> str:
        return "sk-\u2014"

    with pytest.raises(LookupError, match="sealed"):
        over(kind, api_key=broken)
    with pytest.raises(TypeError):
        over(kind, api_key=empty)
    with pytest.raises(ValueError):  # noqa: PT011  (the SDK's text is its own)
        over(kind, api_key=odd)


def test_a_key_that_takes_too_long_is_a_timeout(kind: str) -> None:
    """It is part of the attempt."""

    async def slow() -> str:
        await asyncio.sleep(60)
        return "never"

    async def main() -> None:
        async with transport(kind, "http://127.0.0.1:9/v1", api_key=slow) as one:
            await one.send(chat(), 0.05)

    with pytest.raises(AttemptTimeout):
        asyncio.run(main())


def test_a_direct_request_is_like_the_first(kind: str) -> None:
    """The same line, headers and body, however often it is sent."""
    key = "sk-" + "k" * 20
    _, seen = over(kind, times=3, api_key=key, default_headers={"X-Own": "1"})
    assert seen[0] == seen[1] == seen[2]


def test_an_interim_answer_is_passed_over(kind: str) -> None:
    """The one that counts comes after it."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    response, _ = over(kind, hints + OK, times=2)
    assert (response.status, response.body) == (200, {"ok": True})


def test_another_version_of_aiohttp_sends_through_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is used beyond aiohttp's public names is not used of a version that is not known."""
    monkeypatch.setattr("aiohttp.__version__", "3.99.0")

    async def main() -> tuple[rd.Response, dict[str, Any]]:
        async with Scripted([OK]) as server, transport("bulk", server.url) as one:
            assert isinstance(one, BulkTransport)
            await one.send(chat(), 5)
            return await one.send(chat(), 5), dict(one._direct)

    response, direct = asyncio.run(main())
    assert response.body == {"ok": True}
    assert not direct


# connections


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

    with pytest.raises(TransportError) as caught:
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

    with pytest.raises(TransportError, match="is http:// meant") as caught:
        asyncio.run(main())
    assert not caught.value.reached


def test_the_proxy_of_the_environment_is_used(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the host is excepted."""

    async def main() -> list[Seen]:
        async with Scripted([OK]) as proxy, Scripted([OK]) as server:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            if kind == "sdk as it comes":
                monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            await exchange(kind, "http://host.invalid/v1", chat(), 5)
            monkeypatch.setenv("NO_PROXY", "127.0.0.0/8,host.example")
            await exchange(kind, server.url, chat(), 5)
            assert len(server.seen) == 1
            return proxy.seen

    (seen,) = asyncio.run(main())
    assert seen.target == "http://host.invalid/v1/chat/completions"
    assert seen.headers["host"] == "host.invalid"


def test_a_proxy_that_refuses_was_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tunnel, so nothing was sent to the provider."""

    async def main() -> None:
        async with Scripted([answer(b"", status="407 Proxy Authentication Required")]) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            await exchange("bulk", "https://host.invalid/v1", chat(), 5)

    with pytest.raises(TransportError, match=r"407.*over the proxy http://127\.0\.0\.1") as caught:
        asyncio.run(main())
    assert not caught.value.reached


# the key


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


# where only the SDK will do


async def _hook(_: object) -> None:
    """Would be called with each request."""


class Mine(openai.AsyncOpenAI):
    """A client that somebody has changed."""


def hooked() -> openai.AsyncOpenAI:
    client = openai.AsyncOpenAI(api_key=KEY)
    client._client.event_hooks = {"request": [_hook]}
    return client


def with_http(http: httpx2.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=KEY, http_client=http)


def without_key() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="", default_headers={}, _enforce_credentials=False)


def unknown() -> openai.AsyncOpenAI:
    client = openai.AsyncOpenAI(api_key=KEY)
    del client._api_key_provider
    return client


def azure() -> openai.AsyncOpenAI:
    return openai.AsyncAzureOpenAI(
        api_key=KEY, azure_endpoint="https://host.invalid", api_version="2024-10-21"
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (azure, "AsyncAzureOpenAI"),
        (lambda: Mine(api_key=KEY), "Mine"),
        (hooked, "hooks"),
        (lambda: with_http(openai.DefaultAioHttpClient()), "http_client"),
        (lambda: with_http(openai.DefaultAsyncHttpxClient(verify=False)), "http_client"),
        (lambda: openai.AsyncOpenAI(api_key=KEY, base_url="http://a:b@host/v1"), "password"),
        (lambda: openai.AsyncOpenAI(api_key=KEY, base_url="http://host/v1?a=b"), "query"),
        (lambda: openai.AsyncOpenAI(api_key="sk-\u2014"), "character"),
        (lambda: openai.AsyncOpenAI(api_key=KEY, default_headers={"a": "b\r\nc"}), "character"),
        (without_key, "no API key"),
        (unknown, "version"),
    ],
)
def test_a_client_with_ways_of_its_own_keeps_the_sdk(
    make: Callable[[], openai.AsyncOpenAI], reason: str
) -> None:
    """Rather than a request without what the client does to it."""

    async def main() -> None:
        async with make() as client:
            assert bulk_for(client, 9) is None
            with pytest.raises(TypeError, match=reason) as caught:
                BulkTransport(client, connections=9)
            assert KEY not in str(caught.value)

    asyncio.run(main())


def test_tokens_that_the_sdk_gets_keep_the_sdk() -> None:
    """A workload's identity is exchanged for tokens, on the way."""

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key=KEY) as client:
            client.workload_identity = {}  # type: ignore[assignment]
            assert bulk_for(client, 9) is None

    asyncio.run(main())


@pytest.mark.parametrize("proxy", ["http://me:secret@127.0.0.1:9", "https://127.0.0.1:9"])
def test_a_proxy_that_is_more_than_a_place_keeps_the_sdk(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a password, or over TLS."""
    monkeypatch.setenv("HTTP_PROXY", proxy)

    async def main() -> None:
        client = make_client(base_url="http://host.invalid/v1", api_key=KEY, max_connections=1)
        async with client:
            assert "proxy" in (unsupported_reason(client) or "")

    asyncio.run(main())


def test_a_plain_client_has_one() -> None:
    """Made by hand or by `make_client`, or a copy of it."""

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key=KEY) as client:
            assert bulk_for(client, 9) is not None
            assert bulk_for(client.with_options(timeout=3), 9) is not None
            with pytest.raises(ValueError, match="at least 1"):
                BulkTransport(client, connections=0)

    asyncio.run(main())


# long jobs


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
