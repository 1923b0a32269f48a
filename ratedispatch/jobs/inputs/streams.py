"""
Reads the bytes of an input, from a file or standard input; decompresses it by its suffix.

Converts UTF-16 and UTF-32 to UTF-8. Reports compressed data that is damaged or truncated.

Source: RFC 1952 (gzip) and RFC 8878 (Zstandard), for the magic numbers and for members and
frames that follow each other.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.encodings import UndecodableText, in_utf8
from ratedispatch.jobs.inputs.extras import load

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

#: The name of standard input.
STDIN: Literal["-"] = "-"

Source: TypeAlias = Path | Literal["-"]

_Chunks: TypeAlias = "Generator[bytes, None, None]"

#: Bytes that are asked for at a time.
_CHUNK = 64 * 1024

#: Packed bytes that are decompressed at a time. A Zstandard block of 4 bytes can stand for 128 KB,
#: so that these become 32 MB at most.
_ZSTD_CHUNK = 1024

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class ByteReader(io.BufferedReader):
    """The bytes of an input, decompressed."""

    def __init__(self, raw: _Unpacked) -> None:
        super().__init__(raw, _CHUNK)
        self._unpacked = raw

    @property
    def bytes_read(self) -> int:
        """Bytes that were taken from the file, packed as they are there: at the end, its size."""
        return self._unpacked.bytes_read


@contextmanager
def open_bytes(path: Source) -> Iterator[ByteReader]:
    """
    Open *path*, or standard input for ``-``, and read its bytes decompressed.

    A name that ends in ``.gz`` or ``.zst`` is decompressed, all else is read as it is. Nothing is
    read before it is requested. Standard input stays open.

    Raises:
        JobError: The file is missing or cannot be read; or, while it is read: its data are
            damaged, cut off, or not what its name says. Tells how far it was read.
    """
    if not isinstance(path, Path):
        if sys.stdin is None:
            raise JobError("there is no standard input; give the name of a file")
        with ByteReader(_Unpacked(_Packed(name_of(path), sys.stdin.buffer), "")) as reader:
            yield reader
        return
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise JobError(f"the input {path} does not exist") from error
    except IsADirectoryError as error:
        raise JobError(f"the input {path} is a directory; give a file") from error
    except OSError as error:
        raise JobError(f"the input {path} cannot be read: {error.strerror}") from error
    with file, ByteReader(_Unpacked(_Packed(name_of(path), file), path.suffix.lower())) as reader:
        yield reader


def name_of(path: Source) -> str:
    """Return how messages name *path*."""
    return str(path) if isinstance(path, Path) else "standard input"


class _Damaged(Exception):
    """Packed data that cannot be decompressed; the text says what is wrong with them."""


class _Packed:
    """The bytes as they are in the file, counted."""

    def __init__(self, name: str, file: Any) -> None:
        self.name = name
        self.count = 0
        self._file = file

    def read(self, size: int = _CHUNK) -> bytes:
        # read1, because a pipe gives what it has and read would wait for all of it
        data: bytes = self._file.read1(size)
        self.count += len(data)
        return data


class _Unpacked(io.RawIOBase):
    """The bytes of *packed* as they were before compression, as its *suffix* says."""

    def __init__(self, packed: _Packed, suffix: str) -> None:
        self._packed = packed
        self._chunks = in_utf8(_UNPACKERS.get(suffix, _plain)(packed))
        self._waiting = memoryview(b"")
        self._given = 0

    @property
    def bytes_read(self) -> int:
        return self._packed.count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* as far as one piece goes; return how far."""
        if not self._waiting:
            self._waiting = memoryview(self._next())
        size = min(len(buffer), len(self._waiting))
        buffer[:size] = self._waiting[:size]
        self._waiting = self._waiting[size:]
        self._given += size
        return size

    def close(self) -> None:
        self._chunks.close()
        super().close()

    def _next(self) -> bytes:
        try:
            return next(self._chunks, b"")
        except _Damaged as error:
            raise JobError(
                f"the input {self._packed.name} {error}; {self._packed.count:,} bytes of it were "
                f"read and gave {self._given:,} unpacked; compress or download it again"
            ) from error
        except UndecodableText as error:
            raise JobError(f"the input {self._packed.name} {error}; save it in UTF-8") from error
        except OSError as error:
            raise JobError(
                f"the input {self._packed.name} cannot be read beyond byte {self._packed.count:,}: "
                f"{error.strerror or error}"
            ) from error


def _plain(packed: _Packed) -> _Chunks:
    first = packed.read()
    for magic, kind, suffix in ((_GZIP_MAGIC, "gzip", ".gz"), (_ZSTD_MAGIC, "Zstandard", ".zst")):
        if first.startswith(magic):
            raise JobError(
                f"the input {packed.name} contains {kind} data; give it as a file whose name ends "
                f"in {suffix}, or unpack it first"
            )
    while first:
        yield first
        first = packed.read()


def _gunzip(packed: _Packed) -> _Chunks:
    with gzip.GzipFile(fileobj=packed, mode="rb") as file:  # type: ignore[call-overload]
        try:
            while data := file.read1(_CHUNK):
                yield data
        except EOFError as error:
            raise _Damaged("is truncated: the end of its gzip data is missing") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            reason = str(error).partition(" (b")[0]
            raise _Damaged(f"is damaged or not a gzip file ({reason})") from error


def _unzstd(packed: _Packed) -> _Chunks:
    zstandard = load("zstandard", f"unpacking {packed.name}")
    # not stream_reader: for data that are cut off it says that they end
    frame = None
    while data := packed.read(_ZSTD_CHUNK):
        while data:
            if frame is None or frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                unpacked = frame.decompress(data)
            except zstandard.ZstdError as error:
                reason = str(error).removeprefix("zstd decompressor error: ")
                raise _Damaged(f"is damaged or not a Zstandard file ({reason})") from error
            if unpacked:
                yield unpacked
            data = frame.unused_data if frame.eof else b""
    if frame is not None and not frame.eof:
        raise _Damaged("is truncated: the end of its Zstandard data is missing")


_UNPACKERS = {".gz": _gunzip, ".zst": _unzstd}
