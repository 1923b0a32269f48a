"""
Just enough HTTP/1.1 for a server on loopback, without a task for each request.

Decides where a request ends and how an answer is written. Knows nothing of what is asked.
One request of a connection is served at a time; those sent ahead wait in the buffer. Written
for the processor time it leaves to a client on the same machine: a third of a full server's.
Follows: RFC 9112, as far as HTTP clients use it (no upgrades, no trailers).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The largest body that is read; OpenAI's own bound on a request with images is 50 MB.
LARGEST_BODY = 64 * 1024 * 1024

#: The largest head that is read; nginx stops at 32 KiB.
LARGEST_HEAD = 64 * 1024

#: Linger on, for 0 s: closing then resets the connection instead of ending it in order.
_RESET = struct.pack("ii", 1, 0)

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}


class Exchange:
    """
    One request, and the means to answer it, once.

    Attributes:
        method: In capitals.
        path: As sent, with its query.
        headers: By lower-case name; of a repeated one the last.
        body: Complete and without its chunks.
        on_lost: Called when the client goes away before it is answered.
    """

    __slots__ = (
        "_begun",
        "_connection",
        "_keep_alive",
        "body",
        "headers",
        "method",
        "on_lost",
        "path",
    )

    def __init__(
        self,
        connection: Connection,
        method: str,
        path: str,
        headers: dict[str, str],
        keep_alive: bool,
    ) -> None:
        self._connection = connection
        self._keep_alive = keep_alive
        self.method = method
        self.path = path
        self.headers = headers
        self.body = b""
        self.on_lost: Callable[[], None] | None = None
        self._begun = b""  # a head that waits for the first part

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Write an answer; *headers* without ``content-length``."""
        head = _head(status, headers, len(body))
        # whoever asks for the head reads no body, and would take it for the next answer
        answer = head if self.method == "HEAD" else head + body
        self._connection.finish(answer, self._keep_alive)

    def truncate(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Write an answer of which the second half is missing, then close."""
        part = _head(status, headers, len(body)) + body[: len(body) // 2]
        self._connection.finish(part, keep_alive=False)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer in parts, of a length that is not known; written with the first part."""
        self._begun = _begin(status, headers) + b"transfer-encoding: chunked\r\n\r\n"

    def write(self, part: bytes) -> None:
        """Write a part of the answer; an empty one is nothing."""
        if part:
            self._connection.write(b"%b%x\r\n%b\r\n" % (self._begun, len(part), part))
            self._begun = b""

    def end(self) -> None:
        """End an answer in parts."""
        self._connection.finish(self._begun + b"0\r\n\r\n", self._keep_alive)

    def close(self) -> None:
        """Close the connection, without an answer or with what is written of it."""
        self._connection.finish(b"", keep_alive=False)

    def reset(self) -> None:
        """Reset the connection without an answer."""
        self._connection.reset()


def _head(status: int, headers: Mapping[str, str], length: int) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"{_STATUS_LINES[status]}{''.join(lines)}content-length: {length}\r\n\r\n"
    return head.encode("latin-1")


def _begin(status: int, headers: Mapping[str, str]) -> bytes:
    """Return a head that is not yet ended."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return f"{_STATUS_LINES[status]}{''.join(lines)}".encode("latin-1")


class Connection(asyncio.Protocol):
    """
    One connection of a client.

    Args:
        serve: Called with each request; answers it at once or later.
        opened: Called with each connection that is made.
        closed: Called with each connection that is lost.
    """

    def __init__(
        self,
        serve: Callable[[Exchange], None],
        opened: Callable[[Connection], None],
        closed: Callable[[Connection], None],
    ) -> None:
        self._serve = serve
        self._opened = opened
        self._closed = closed
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head: Exchange | None = None  # read, its body not yet
        self._missing = 0  # bytes of that body; -1 when it comes in chunks
        self._chunks = bytearray()
        self._current: Exchange | None = None  # served, not yet answered
        self._is_reading = False  # guards against an answer given while still parsing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Cancel the answer that is still being made."""
        self._transport = None
        current, self._current = self._current, None
        if current is not None and current.on_lost is not None:
            current.on_lost()
        self._closed(self)

    def data_received(self, data: bytes) -> None:
        """Take what came and serve what is complete."""
        self._buffer += data
        if self._current is None:
            self._read()
        elif len(self._buffer) > LARGEST_BODY + LARGEST_HEAD:
            self.abort()  # sends ahead without end

    def write(self, part: bytes) -> None:
        """Write a part of an answer that is not finished with it."""
        if self._transport is not None:
            self._transport.write(part)

    def finish(self, answer: bytes, keep_alive: bool) -> None:
        """Write *answer*, then go on with the next request or close."""
        transport = self._transport
        self._current = None
        if transport is None:
            return
        if answer:
            transport.write(answer)
        if not keep_alive:
            transport.close()
        elif self._buffer and not self._is_reading:
            self._read()

    def reset(self) -> None:
        """Close so that the client sees a reset."""
        transport, self._current = self._transport, None
        if transport is not None:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()

    def abort(self) -> None:
        """Drop the connection, whatever it is waiting for."""
        if self._transport is not None:
            self._transport.abort()

    def _read(self) -> None:
        """Serve the requests that the buffer holds, as long as each is answered at once."""
        self._is_reading = True
        try:
            while self._current is None and self._transport is not None:
                if self._head is None and not self._read_head():
                    return
                if not self._read_body():
                    return
                exchange, self._head = self._head, None
                assert exchange is not None
                self._current = exchange
                self._serve(exchange)
        except ValueError:
            self._reject(400)
        finally:
            self._is_reading = False

    def _read_head(self) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > LARGEST_HEAD:
                self._reject(431)
            return False
        first, *lines = buffer[:end].decode("latin-1").split("\r\n")
        del buffer[: end + 4]
        method, path, version = first.split(" ")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError(line)
            headers[name.lower()] = value.strip()
        connection = headers.get("connection", "").lower()
        keep_alive = connection != "close" and (version != "HTTP/1.0" or connection != "")
        exchange = Exchange(self, method, path, headers, keep_alive)
        self._missing = int(headers.get("content-length", "0"))
        if headers.get("transfer-encoding", "").lower() == "chunked":
            self._missing = -1
            self._chunks.clear()
        elif self._missing < 0:
            raise ValueError("content-length")
        if self._missing > LARGEST_BODY:
            self._reject(413)
            return False
        if self._missing and not buffer and "expect" in headers and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._head = exchange
        return True

    def _read_body(self) -> bool:
        exchange, buffer = self._head, self._buffer
        assert exchange is not None
        if self._missing < 0:
            return self._read_chunks(exchange)
        if len(buffer) < self._missing:
            return False
        if self._missing:
            exchange.body = bytes(buffer[: self._missing])
            del buffer[: self._missing]
        return True

    def _read_chunks(self, exchange: Exchange) -> bool:
        buffer = self._buffer
        while True:
            end = buffer.find(b"\r\n")
            if end < 0:
                return False
            size = int(buffer[:end].partition(b";")[0], 16)
            if size < 0 or len(self._chunks) + size > LARGEST_BODY:
                self._reject(413)
                return False
            if len(buffer) < end + 2 + size + 2:
                return False
            self._chunks += buffer[end + 2 : end + 2 + size]
            del buffer[: end + 2 + size + 2]
            if size == 0:
                exchange.body = bytes(self._chunks)
                return True

    def _reject(self, status: int) -> None:
        self._head = None
        self._buffer.clear()
        self.finish(_head(status, {"connection": "close"}, 0), keep_alive=False)
