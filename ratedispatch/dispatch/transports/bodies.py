"""
Reads the body of an answer up to a bound, whatever a server sends.

A compressed body counts with its decompressed size, since a few kilobytes can expand to gigabytes.
Many answers come at once, so beyond a few megabytes only one body at a time is read further; the
others wait in their sockets.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Protocol

from ratedispatch.errors import AnswerTooLarge, TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MEGABYTE = 2**20

#: Default maximum size of an answer in bytes. The largest realistic answer, 2,048 embeddings of
#: 1,536
#: numbers, is about as large.
MOST_BYTES = 64 * MEGABYTE

#: Bytes of a body from which on it is the only one that grows.
_LARGE = 4 * MEGABYTE

#: Bytes that are decompressed at once, and that they become at most.
_PIECE = 256 * 1024

#: zlib's code for a header of gzip or of zlib, whichever comes.
_ANY_HEADER = zlib.MAX_WBITS | 32


#: Encodings that are requested.
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})

#: Encodings around each other, of a server and the gateways before it.
_MOST_LAYERS = 4

#: How a body begins that is JSON as it stands, which nothing compressed does.
_JSON_STARTS = frozenset({b"{", b"[", b" ", b"\n"})


class Reader(Protocol):
    """What is used of aiohttp's ``StreamReader``."""

    def at_eof(self) -> bool:
        """Whether all has been read."""

    async def readany(self) -> bytes:
        """Return what has come, once anything has."""


class BodyBound:
    """
    How large an answer may be.

    Args:
        most: Bytes of one body.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        if most < 1:
            raise ValueError(f"an answer must be allowed at least 1 byte, not {most}")
        self.most = most
        self._only_one = asyncio.Lock()

    async def read(self, body: Reader) -> bytes:
        """
        Return all of *body*.

        Raises:
            AnswerTooLarge: It is larger than allowed; the connection is of no more use.
        """
        first = await body.readany()
        if body.at_eof():
            self._check(len(first))
            return first
        return await self.collect(first, _parts(body))

    async def collect(self, first: bytes, parts: AsyncIterator[bytes]) -> bytes:
        """Return *first* and all *parts*; as `read`."""
        content = bytearray(first)
        is_alone = False
        try:
            async for part in parts:
                content += part
                self._check(len(content))
                if not is_alone and len(content) > _LARGE:
                    await self._only_one.acquire()
                    is_alone = True
            return bytes(content)
        except AnswerTooLarge:
            content.clear()  # the error outlives this by its traceback
            raise
        finally:
            if is_alone:
                self._only_one.release()

    def unpack(self, content: bytes, encoding: str) -> bytes:
        """
        Return *content* without its ``Content-Encoding``.

        Raises:
            AnswerTooLarge: It is larger than allowed.
            TransportError: It is damaged, or packed in a way that was not requested.
        """
        if not encoding:
            return content
        names = [name.strip() for name in encoding.lower().split(",")]
        if len(names) > _MOST_LAYERS:
            raise TransportError(f"an answer that cannot be decompressed: {len(names)} encodings")
        for name in reversed(names):
            content = self._unpack_once(content, name)
        return content

    def _unpack_once(self, content: bytes, encoding: str) -> bytes:
        if encoding in {"", "identity"}:
            return content
        if encoding not in _KNOWN:
            raise TransportError(
                f"an answer with an encoding that was not requested: {encoding:.40}"
            )
        is_gzip = encoding != "deflate"
        if is_gzip and content[:1] in _JSON_STARTS:
            return content  # a gateway has decompressed it, and left the header as it was
        is_raw = not is_gzip and content[:1] != b"" and content[0] & 0xF != 8
        unpacked = bytearray()
        unpacker = _unpacker(is_raw=is_raw)
        try:
            for start in range(0, len(content), _PIECE):
                data = content[start : start + _PIECE]
                while data:
                    if unpacker.eof:  # several may follow each other, or zeros that fill a block
                        if is_gzip and not data.strip(b"\0"):
                            break
                        unpacker = _unpacker(is_raw=is_raw)
                    unpacked += unpacker.decompress(data, _PIECE)
                    self._check(len(unpacked))
                    data = unpacker.unconsumed_tail or unpacker.unused_data
        except zlib.error as error:
            raise TransportError(f"an answer that cannot be decompressed: {error}") from None
        except AnswerTooLarge:
            unpacked.clear()  # the error outlives this by its traceback
            raise
        if content and not unpacker.eof:
            raise TransportError("an answer that cannot be decompressed: it is truncated")
        return bytes(unpacked)

    def _check(self, size: int) -> None:
        if size > self.most:
            raise AnswerTooLarge(
                f"the answer is larger than {self.most / MEGABYTE:,.4g} MB; if that is expected, "
                f"raise --max-answer-mb"
            )


def _unpacker(*, is_raw: bool) -> zlib._Decompress:
    return zlib.decompressobj(-zlib.MAX_WBITS if is_raw else _ANY_HEADER)


async def _parts(body: Reader) -> AsyncIterator[bytes]:
    while not body.at_eof():
        yield await body.readany()
