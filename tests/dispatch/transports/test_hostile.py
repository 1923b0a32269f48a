"""Servers that mean harm, or are broken so that it comes to the same."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import sys
import zlib
from typing import TYPE_CHECKING

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports import bodies
from ratedispatch.dispatch.transports.bodies import MEGABYTE, BodyBound
from ratedispatch.dispatch.transports.bulk import BulkTransport, plain_bulk
from ratedispatch.dispatch.transports.sdk import SdkTransport
from ratedispatch.errors import AnswerTooLarge, TransportError
from ratedispatch.outcome import Failed
from tests.dispatch.transports.wire import KEY, OK, ON_AIOHTTP, Scripted, answer, chat, transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

#: A tenth of a megabyte that says nothing, and how it is packed.
SPACES = b" " * 100_000
RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)
PACKED = {
    "gzip": gzip.compress(mtime=0, data=SPACES),
    "deflate": zlib.compress(SPACES),
    "deflate without a header": RAW.compress(SPACES) + RAW.flush(),
    "gzip of two members": gzip.compress(mtime=0, data=SPACES[:50_000])
    + gzip.compress(SPACES[50_000:]),
    "": SPACES,
}


def bound(one: object, most: int) -> None:
    """Let *one*, a transport, take answers of so many bytes."""
    assert isinstance(one, BulkTransport | SdkTransport)
    one._bound.most = most


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
def test_an_answer_is_taken_up_to_its_bound(kind: str, packed: str, status: str) -> None:
    """By what it is unpacked; one byte more is too many, and the next request is answered."""
    encoding = packed.partition(" ")[0]
    headers = [f"Content-Encoding: {encoding}"] if encoding else []
    content = answer(PACKED[packed], *headers, status=status)

    async def main() -> None:
        async with (
            Scripted([content, content, OK]) as server,
            transport(kind, server.url) as one,
        ):
            bound(one, 100_000)
            assert len((await one.send(chat(), 5)).body) == 100_000
            bound(one, 99_999)
            with pytest.raises(
                AnswerTooLarge, match=r"larger than 0\.09537 MB; if that is expected"
            ):
                await one.send(chat(), 5)
            assert (await one.send(chat(), 5)).body == {"ok": True}

    asyncio.run(main())


def test_such_a_row_fails_at_once() -> None:
    """The next answer would be as large."""

    async def main() -> tuple[rd.Outcome, int]:
        async with (
            Scripted([answer(SPACES)]) as server,
            transport("bulk", server.url) as one,
            rd.Dispatcher(one, rd.Limits(600)) as dispatcher,
        ):
            bound(one, 99_999)
            return await dispatcher.submit(chat()), len(server.seen)

    outcome, asked = asyncio.run(main())
    assert isinstance(outcome, Failed)
    assert (outcome.code, asked) == ("answer_too_large", 1)


def test_large_answers_grow_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many at once are no more in memory than their beginnings and one whole."""
    monkeypatch.setattr(bodies, "_LARGE", 10)
    size = most = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal size, most
        for number in range(100):
            await asyncio.sleep(0)
            size += number >= 11
            most = max(most, size)
            yield b"x"
        size -= 89

    async def main() -> None:
        both = BodyBound(100)
        await asyncio.gather(*(both.collect(b"", parts()) for _ in range(8)))
        assert (size, most) == (0, 89)
        too_small = BodyBound(50)
        collected = (too_small.collect(b"", parts()) for _ in range(3))
        found = await asyncio.gather(*collected, return_exceptions=True)
        assert all(isinstance(one, AnswerTooLarge) for one in found)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (gzip.compress(mtime=0, data=SPACES)[:-20], "gzip"),
        (b"no gzip", "gzip"),
        (b"\x78\x9c\x00", "deflate"),
        (gzip.compress(mtime=0, data=b"x") + b"y", "gzip"),
        (b"x", "br"),
        (b"x", "zstd"),
        (b"x", "br, gzip"),
        (gzip.compress(mtime=0, data=b"x"), "gzip, br"),
    ],
)
def test_what_cannot_be_unpacked_is_a_broken_answer(content: bytes, encoding: str) -> None:
    """Or what nobody has asked for."""
    with pytest.raises(TransportError, match=r"decompressed|not requested"):
        BodyBound().unpack(content, encoding)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (gzip.compress(mtime=0, data=gzip.compress(mtime=0, data=b"{}")), "gzip, gzip"),
        (gzip.compress(mtime=0, data=b"{}"), "gzip, gzip"),
        (gzip.compress(mtime=0, data=b"{}"), "identity, GZIP"),
        (gzip.compress(mtime=0, data=b"{}") + bytes(512), "gzip"),
        (b"{}", "gzip"),
    ],
    ids=["packed twice", "named twice", "behind none", "filled up", "unpacked on the way"],
)
def test_what_gateways_do_to_a_packed_body_is_read(content: bytes, encoding: str) -> None:
    """The bytes decide where the header says more than was done."""
    assert BodyBound().unpack(content, encoding) == b"{}"


@pytest.mark.parametrize("kind", ["direct", "bulk", "sdk"])
def test_a_body_unpacked_on_the_way_is_read_by_every_transport(kind: str) -> None:
    """On the session's connection first, then directly; and one named in two lines."""
    twice = gzip.compress(mtime=0, data=gzip.compress(mtime=0, data=b"{}"))
    contents = [
        *[answer(b"{}", "Content-Encoding: gzip")] * 2,
        answer(twice, "Content-Encoding: gzip\r\ncontent-encoding: gzip"),
    ]

    async def main() -> None:
        async with Scripted(contents) as server, transport(kind, server.url) as one:
            for _ in contents:
                assert (await one.send(chat(), 5)).body == {}

    asyncio.run(main())


def test_encodings_without_end_are_too_many() -> None:
    """Each layer costs a pass over the body."""
    with pytest.raises(TransportError, match="5 encodings"):
        BodyBound().unpack(b"{}", "gzip, gzip, gzip, gzip, gzip")


def test_an_empty_body_in_an_encoding_is_empty() -> None:
    """As answers without content have it."""
    assert BodyBound().unpack(b"", "gzip") == b""
    assert BodyBound().unpack(b"{}", " Identity ") == b"{}"


def test_a_bound_of_nothing_is_refused() -> None:
    """A mistake rather than a wish."""
    with pytest.raises(ValueError, match="at least 1 byte"):
        BodyBound(0)
    settings = plain_bulk("http://127.0.0.1:9/v1", KEY, 1, {}, most_bytes=7)
    assert settings is not None
    assert settings._bound.most == 7
    assert BodyBound().most == 64 * MEGABYTE
    assert SdkTransport(openai.AsyncOpenAI(api_key=KEY), 8).api_key == KEY


async def against(
    kind: str, write: Callable[[asyncio.StreamWriter], None], timeout: float
) -> BaseException | rd.Response:
    """Send to a server that writes without an end; return what comes of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            while True:
                write(writer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with transport(kind, url) as one:
            (found,) = await asyncio.gather(one.send(chat(), timeout), return_exceptions=True)
    return found


@pytest.mark.parametrize(
    "piece",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000,
        b"\r\n" * 1000,
    ],
    ids=["continue", "hints", "nothing"],
)
def test_interim_answers_without_an_end_are_a_broken_connection(kind: str, piece: bytes) -> None:
    """At the time-out at the latest, and whatever the transport."""
    found = asyncio.run(against(kind, lambda writer: writer.write(piece), 0.5))
    assert isinstance(found, TransportError)
    assert found.reached


@pytest.mark.parametrize("number", [1, 50])
def test_a_few_interim_answers_are_passed_over(kind: str, number: int) -> None:
    """However many a server has reason for."""

    async def main() -> rd.Response:
        content = b"HTTP/1.1 102 Processing\r\n\r\n" * number + OK
        async with Scripted([content]) as server, transport(kind, server.url) as one:
            await one.send(chat(), 5)
            return await one.send(chat(), 5)

    assert asyncio.run(main()).body == {"ok": True}


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + b"{}",  # promises more than it sends
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5_000)) + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 300_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 999999 OK\r\n\r\n{}",
        b"\x00\x01\x02\r\n\r\n",
    ],
    ids=["short", "negative", "two lengths", "many headers", "long header", "status", "binary"],
)
def test_what_is_hardly_http_is_a_broken_answer(kind: str, content: bytes) -> None:
    """It raises what the dispatcher knows, or it is an answer."""

    async def main() -> object:
        async with Scripted([content], closes=True) as server, transport(kind, server.url) as one:
            (found,) = await asyncio.gather(one.send(chat(), 2), return_exceptions=True)
            return found

    found = asyncio.run(main())
    assert isinstance(found, TransportError | rd.Response), found


# httpx's own pool takes it
@pytest.mark.parametrize("kind", ["direct", "bulk", *(["sdk"] if ON_AIOHTTP else [])])
def test_more_than_was_promised_is_nobody_elses_answer(kind: str) -> None:
    """What follows an answer on its connection does not answer the next request."""
    smuggled = answer(b'{"smuggled": 1}')
    content = answer(b'{"ok": 1}') + smuggled

    async def main() -> list[object]:
        async with Scripted([content]) as server, transport(kind, server.url) as one:
            found: list[object] = []
            for _ in range(4):
                (one_found,) = await asyncio.gather(one.send(chat(), 2), return_exceptions=True)
                found.append(one_found)
            return found

    for found in asyncio.run(main()):
        assert isinstance(found, TransportError) or (
            isinstance(found, rd.Response) and found.body == {"ok": 1}
        )


def test_nested_without_end_or_of_endless_digits_is_an_answer_or_text(kind: str) -> None:
    """No shape of JSON raises."""
    deep = b"[" * 200_000 + b"]" * 200_000
    digits = b'{"a": ' + b"9" * 200_000 + b"}"

    async def main() -> None:
        contents = [answer(deep), answer(digits), answer(b'{"a": 1e999999}')]
        async with Scripted(contents) as server, transport(kind, server.url) as one:
            for _ in contents:
                response = await one.send(chat(), 5)
                assert response.is_json or isinstance(response.body, str)
            assert json.dumps(response.body)

    asyncio.run(main())


#: Sends eight requests at once, and says how much memory that took at most, in megabytes.
CHILD = """
import asyncio, pathlib, re, sys
import ratedispatch as rd
from ratedispatch.dispatch.transports.bulk import bulk_for
from ratedispatch.dispatch.transports.sdk import SdkTransport, make_client
from ratedispatch.errors import AnswerTooLarge

async def main(url, kind):
    client = make_client(base_url=url, api_key="sk-1234567890", max_connections=8)
    one = SdkTransport(client) if kind == "sdk" else bulk_for(client, 8)
    request = rd.Request.chat(model="m", messages=[])
    found = await asyncio.gather(*(one.send(request, 50) for _ in range(8)), return_exceptions=True)
    assert all(isinstance(error, AnswerTooLarge) for error in found), found
    # not ru_maxrss, which begins with that of the process it was started from
    status = pathlib.Path("/proc/self/status").read_text()
    print(int(re.search(r"VmHWM:\\s+([0-9]+) kB", status)[1]) // 1024)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is on Linux only")
@pytest.mark.parametrize("kind", ["bulk", "sdk"])
def test_eight_bombs_at_once_stay_within_300_megabytes(kind: str) -> None:
    """A quarter of a gigabyte each, in 250 kB."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * MEGABYTE) for _ in range(256)) + packer.flush()

    async def main() -> int:
        async with Scripted([answer(bomb, "Content-Encoding: gzip")]) as server:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CHILD, server.url, kind, stdout=asyncio.subprocess.PIPE
            )
            output, _ = await child.communicate()
        return int(output)

    assert asyncio.run(main()) <= 300
