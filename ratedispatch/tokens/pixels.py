"""
The size of an image, read from its first bytes in base64.

Decodes only the few base64 characters that it looks at, never the image. Knows PNG, GIF, JPEG
and WebP; whatever is damaged or something else has no size here, and the caller assumes one.
Formats: W3C PNG (IHDR), GIF89a, ITU T.81 (SOFn), RFC 6386 and 9649 (VP8, VP8L, VP8X).
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import NamedTuple

# a JPEG's frame header stands behind its metadata: at most a few hundred segments of 64 kB
_MOST_SEGMENTS = 512
_LINE = 128  # characters: lines of base64 are shorter (RFC 2045: 76)
_LINES = 400_000  # characters: beyond this a JPEG in lines is not measured
_HEAD = 32  # bytes: all but JPEG fit
# SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def read(encoded: str, start: int, offset: int, size: int) -> bytes:
    """Return *size* bytes from *offset* of the base64 that begins at *start* of *encoded*."""
    first = start + offset // 3 * 4
    last = start + -(-(offset + size) // 3) * 4
    try:
        data = a2b_base64(encoded[first:last].rstrip("=") + "==")
    except (Base64Error, ValueError):
        return b""
    return data[offset % 3 : offset % 3 + size]


def measure(encoded: str, start: int) -> Size | None:
    """Return the size of the image whose base64 begins at *start*; None if it cannot be read."""
    head = read(encoded, start, 0, _HEAD)
    size = _by_head(head)
    if size is None and head[:2] == b"\xff\xd8":
        if len(encoded[start : start + _LINE].split()) > 1:  # lines, whose breaks shift the base64
            encoded, start = "".join(encoded[start : start + _LINES].split()), 0
        size = _jpeg(encoded, start)
    return size if size is not None and size.width > 0 and size.height > 0 else None


def _by_head(head: bytes) -> Size | None:
    if len(head) < 30 and head[:3] != b"GIF":
        return None
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return Size(int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"))
    if head[:3] == b"GIF":
        return Size(int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little"))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    return None


def _webp(head: bytes) -> Size | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return Size(
            int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        )
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        return Size(
            int.from_bytes(head[26:28], "little") & 0x3FFF,
            int.from_bytes(head[28:30], "little") & 0x3FFF,
        )
    return None


def _jpeg(encoded: str, start: int) -> Size | None:
    offset = 2
    for _ in range(_MOST_SEGMENTS):
        segment = read(encoded, start, offset, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker in _FRAMES:
            return Size(int.from_bytes(segment[7:9], "big"), int.from_bytes(segment[5:7], "big"))
        if marker == 0xFF:  # a fill byte before a marker
            offset += 1
        elif marker in _STANDALONE:
            offset += 2
        else:
            offset += 2 + int.from_bytes(segment[2:4], "big")
    return None
