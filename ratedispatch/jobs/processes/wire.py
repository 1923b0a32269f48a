"""
Messages between the processes of a job: pickles behind their length, over a pair of sockets.

Both ends are this program, started by the same user, and nobody else has the sockets. Knows
nothing of what the messages say.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH = struct.Struct("!I")

#: Bytes of the first part of the first message, which carries a descriptor.
_FIRST = 4_096


def packed(message: object) -> bytes:
    """Return *message* as it travels."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


def _unpacked(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301  (of this program itself, by a pair of sockets)


def send_first(end: socket.socket, message: object, descriptor: int) -> None:
    """
    Send the first *message* over a socket that blocks, and with it an open file.

    Raises:
        OSError: The other end is gone.
    """
    data = packed(message)
    sent = socket.send_fds(end, [data[:_FIRST]], [descriptor])
    end.sendall(data[sent:])


def receive_first(end: socket.socket) -> tuple[Any, int] | None:
    """Return what `send_first` has sent, and the open file; None if the other end is gone."""
    data, descriptors, _, _ = socket.recv_fds(end, _LENGTH.size, 1)
    while data and len(data) < _LENGTH.size:
        data += end.recv(_LENGTH.size - len(data))
    if not data:
        return None
    size, body = _LENGTH.unpack(data)[0], bytearray()
    while len(body) < size:
        block = end.recv(size - len(body))
        if not block:
            return None
        body += block
    return _unpacked(bytes(body)), descriptors[0]


class Channel(asyncio.Protocol):
    """
    One end of the pair, in an event loop.

    Args:
        on_message: Called with each message.
        on_end: Called once when the other end is gone.
    """

    def __init__(self, on_message: Callable[[Any], None], on_end: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    async def connect(self, end: socket.socket) -> None:
        """Begin on *end*, which belongs to this from now on."""
        end.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=end)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of the loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand on the messages that are whole."""
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= _LENGTH.size:
            first = start + _LENGTH.size
            last = first + _LENGTH.unpack_from(buffer, start)[0]
            if last > end:
                break
            start = last
            self._on_message(_unpacked(bytes(memoryview(buffer)[first:last])))
        del buffer[:start]

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell that the other end is gone."""
        self._transport = None
        self._on_end()

    def send(self, message: object) -> None:
        """Send *message*; to nobody if the other end is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packed(message))

    def close(self) -> None:
        """Close this end, with what is not sent yet."""
        if self._transport is not None:
            self._transport.abort()
