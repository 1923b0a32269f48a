"""
Reads the usage out of an answer that passes by in pieces.

Keeps the end of what has passed and looks there for the last ``"usage"`` with an object: in the
last chunk of a chat that was asked to send it, in ``response.completed``, or at the end of one JSON
object. In JSON the name cannot stand inside a text, where its quotes would be escaped. Nothing is
asked for that the caller did not ask for.
"""

from __future__ import annotations

import json
import zlib
from collections import deque
from typing import TYPE_CHECKING

from ratedispatch.providers.read.usage import read_usage

if TYPE_CHECKING:
    from ratedispatch.outcome import Usage

#: Bytes kept of the end. After the usage come a few fields of the response.
_KEPT = 16 * 1024

_NAME = b'"usage"'

#: What a stream says when it is whole, though it may be closed before its last byte was taken.
_ENDS = (b"[DONE]", b'"response.completed"', b'"response.incomplete"', b'"response.failed"')

#: Window bits of zlib for both formats that are called deflate, and for gzip.
_ANY_FORMAT = 47


class StreamUsage:
    """
    What is known of one answer from its pieces.

    Args:
        encoding: Its content encoding, in lower case; one that cannot be read here leaves the
            usage unknown.
    """

    __slots__ = ("_decoder", "_is_readable", "_kept", "_parts")

    def __init__(self, encoding: str = "") -> None:
        is_packed = encoding not in {"", "identity"}
        self._is_readable = not is_packed or encoding in {"gzip", "x-gzip", "deflate"}
        self._decoder = zlib.decompressobj(_ANY_FORMAT) if is_packed else None
        self._parts: deque[bytes] = deque()
        self._kept = 0

    def feed(self, part: bytes) -> None:
        """Take the next *part* as it came over the wire."""
        if not self._is_readable:
            return
        if self._decoder is not None:
            try:
                part = self._decoder.decompress(part)
            except zlib.error:
                self._is_readable = False
                self._parts.clear()
                return
        self._parts.append(part)
        self._kept += len(part)
        while self._kept - len(self._parts[0]) > _KEPT:
            self._kept -= len(self._parts.popleft())

    def end(self) -> tuple[Usage | None, bool]:
        """Return the usage, if it was told, and whether the stream has said that it is whole."""
        text = b"".join(self._parts)
        self._parts.clear()
        usage = _last_usage(text)
        return usage, usage is not None or any(end in text for end in _ENDS)


def _last_usage(text: bytes) -> Usage | None:
    end = len(text)
    while (place := text.rfind(_NAME, 0, end)) >= 0:
        end = place
        rest = text[place + len(_NAME) :].decode("utf-8", "replace").lstrip()
        if not rest.startswith(":"):
            continue
        rest = rest[1:].lstrip()
        if not rest.startswith("{"):  # null, in all chunks of a chat but the last
            continue
        try:
            found, _ = _DECODER.raw_decode(rest)
        except ValueError:
            continue
        usage = read_usage({"usage": found})
        if usage is not None:
            return usage
    return None


_DECODER = json.JSONDecoder()
