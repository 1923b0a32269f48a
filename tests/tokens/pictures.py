"""Headers of image and audio files, made by hand: enough to be measured, no pixels."""

from __future__ import annotations

import base64
import struct


def data_url(data: bytes, kind: str = "image/png") -> str:
    """Return *data* as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def png(width: int, height: int, *, size: int = 200) -> bytes:
    """Return a PNG header with *size* bytes of nothing behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + header + bytes(size)


def gif(width: int, height: int) -> bytes:
    """Return a GIF header."""
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(10)


def jpeg(width: int, height: int, *, metadata: int = 0, marker: int = 0xC0) -> bytes:
    """Return a JPEG up to its frame header, behind *metadata* bytes of EXIF segments."""
    data = b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00" + bytes(9)
    while metadata > 0:
        length = min(metadata, 65_533)
        data += b"\xff\xe1" + struct.pack(">H", length + 2) + bytes(length)
        metadata -= length
    data += b"\xff\xff\xc4" + struct.pack(">H", 4) + b"\x00\x00"  # a fill byte, then a table
    data += b"\xff\x01"  # a marker that stands alone
    frame = struct.pack(">BHH", 8, height, width) + bytes(10)
    return data + bytes((0xFF, marker)) + struct.pack(">H", len(frame) + 2) + frame


def webp(kind: bytes, width: int, height: int) -> bytes:
    """Return a WebP header of the *kind* VP8, VP8L or VP8X."""
    if kind == b"VP8X":
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        bits = (width - 1) | (height - 1) << 14
        body = b"\x2f" + bits.to_bytes(4, "little") + bytes(10)
    else:
        body = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(10)
    chunk = kind.ljust(4) + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def wav(seconds: float, *, rate: int = 16_000, extra: bytes = b"") -> bytes:
    """Return *seconds* of silence, 16 bit mono, with *extra* chunks before the data."""
    samples = bytes(round(seconds * rate) * 2)
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + extra
    body += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body
