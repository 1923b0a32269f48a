"""Reading requests however they are cut, and writing answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.simulate.server.http import LARGEST_BODY, LARGEST_HEAD, Connection, Exchange


class Pipe(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_open = True

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_open = False

    def abort(self) -> None:
        self.is_open = False


class Client:
    """A connection, what it served, and what it wrote; answers at once unless told to wait."""

    def __init__(self, *, answer: bool = True) -> None:
        self.served: list[Exchange] = []
        self.events: list[str] = []
        self.pipe = Pipe()
        self.answer = answer
        self.connection = Connection(
            self.serve,
            lambda _: self.events.append("opened"),
            lambda _: self.events.append("closed"),
        )
        self.connection.connection_made(self.pipe)

    def serve(self, exchange: Exchange) -> None:
        self.served.append(exchange)
        if self.answer:
            exchange.answer(200, {"a": "b"}, exchange.body)

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)


PLAIN = b"POST /v1/x?y=1 HTTP/1.1\r\nHost: h\r\nX-Some:  value \r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"
)
BARE = b"GET /v1/models HTTP/1.1\r\n\r\n"


@settings(max_examples=50)
@given(st.lists(st.sampled_from([PLAIN, CHUNKED, BARE]), max_size=4), st.data())
def test_requests_are_read_however_they_are_cut(sent: list[bytes], data: st.DataObject) -> None:
    """Any split of any sequence of requests gives the same requests, in order."""
    client = Client()
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        client.send(stream[start:end])
    bodies = {PLAIN: b"body", CHUNKED: b"abc0123456789", BARE: b""}
    assert [exchange.body for exchange in client.served] == [bodies[one] for one in sent]
    assert client.pipe.written.count(b"HTTP/1.1 200 OK\r\n") == len(sent)


def test_a_request_is_what_was_sent() -> None:
    """Method, path, headers in lower case without their blanks, body."""
    client = Client()
    client.send(PLAIN)
    exchange = client.served[0]
    assert (exchange.method, exchange.path, exchange.body) == ("POST", "/v1/x?y=1", b"body")
    assert exchange.headers == {"host": "h", "x-some": "value", "content-length": "4"}
    assert client.pipe.written == b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 4\r\n\r\nbody"
    assert client.pipe.is_open


def test_a_second_request_waits_for_the_first_answer() -> None:
    """One at a time, in order."""
    client = Client(answer=False)
    client.send(PLAIN + BARE)
    client.send(BARE)
    assert len(client.served) == 1
    client.served[0].answer(200, {}, b"")
    assert len(client.served) == 2
    client.served[1].answer(200, {}, b"")
    assert len(client.served) == 3


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_a_connection_is_kept_as_the_client_asks(head: bytes, stays: bool) -> None:
    """HTTP/1.1 stays open unless told otherwise, HTTP/1.0 the other way round."""
    client = Client()
    client.send(head)
    assert client.pipe.is_open == stays


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (LARGEST_BODY + 1), b"413"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"x" * (LARGEST_HEAD + 1), b"431"),
    ],
)
def test_nonsense_is_refused_and_closes(data: bytes, status: bytes) -> None:
    """A request that cannot be read ends its connection with a status."""
    client = Client()
    client.send(data)
    assert client.pipe.written.startswith(b"HTTP/1.1 " + status)
    assert not client.pipe.is_open
    assert client.served == []


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    """As curl does for large bodies."""
    client = Client()
    client.send(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert client.pipe.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"ab")
    assert client.served[0].body == b"ab"


def test_an_answer_can_be_cut_or_missing() -> None:
    """Half of the body is missing, or everything is."""
    client = Client(answer=False)
    client.send(BARE)
    client.served[0].truncate(200, {}, b"12345678")
    assert client.pipe.written.endswith(b"content-length: 8\r\n\r\n1234")
    assert not client.pipe.is_open
    client = Client(answer=False)
    client.send(BARE)
    client.served[0].close()
    assert (client.pipe.written, client.pipe.is_open) == (b"", False)


def test_a_client_that_goes_away_is_noticed() -> None:
    """Whoever works on its answer is told, once; answering then does nothing."""
    client = Client(answer=False)
    client.send(BARE)
    exchange = client.served[0]
    exchange.on_lost = lambda: client.events.append("lost")
    client.connection.connection_lost(None)
    assert client.events == ["opened", "lost", "closed"]
    exchange.answer(200, {}, b"late")
    exchange.reset()
    client.connection.abort()
    assert client.pipe.written == b""


def test_a_client_that_sends_ahead_without_end_is_dropped() -> None:
    """The buffer is bounded."""
    client = Client(answer=False)
    client.send(BARE)
    client.send(b"x" * (LARGEST_BODY + LARGEST_HEAD + 1))
    assert not client.pipe.is_open


def test_the_answer_to_a_head_has_no_body() -> None:
    """Whoever asks for it reads none, and would take it for the next answer."""
    client = Client()
    client.send(PLAIN.replace(b"POST", b"HEAD"))
    assert client.pipe.written.endswith(b"content-length: 4\r\n\r\n")
