"""
Remembers the position of the result line of each row, in memory that does not grow with the rows.

The place of a line and the digest of its row are 16 bytes in a temporary file, at 16 times the
number of the row.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, NamedTuple

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import row_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_RECORD = struct.Struct("=QQ")

#: Places that are read at a time.
_BLOCK = 4096

#: Bytes of a line that are read at first; most are shorter.
_USUAL_LINE = 4096

#: Files that are open at once: fewer than every system allows.
_MOST_OPEN = 128


class Place(NamedTuple):
    """
    Where the line of a row is.

    Args:
        file: The number of its file.
        offset: The offset of its first byte.
        digest: The digest of the content of the row; 0 if the line does not tell.
    """

    file: int
    offset: int
    digest: int


class Places:
    """
    The places of rows, by their numbers.

    Args:
        files: How many files there are.
        folder: Where the temporary file is kept; it has no name, so nothing is left behind.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, files: int, folder: Path) -> None:
        self._files = files
        # unbuffered: it is written and read at places
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._last = -1

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()

    def put(self, row: int, place: Place) -> None:
        """Remember *place* for *row*."""
        # + 1: a hole in the file is full of zeros
        data = _RECORD.pack(place.offset * self._files + place.file + 1, place.digest)
        if os.pwrite(self._file.fileno(), data, row * len(data)) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._last = max(self._last, row)

    def at(self, row: int) -> Place | None:
        """Return the place of *row*; None if it has none."""
        data = os.pread(self._file.fileno(), _RECORD.size, row * _RECORD.size)
        return self._place(*_RECORD.unpack(data)) if len(data) == _RECORD.size else None

    def __iter__(self) -> Iterator[tuple[int, Place]]:
        """Yield the rows that have a place, in their order."""
        for first in range(0, self._last + 1, _BLOCK):
            data = os.pread(self._file.fileno(), _BLOCK * _RECORD.size, first * _RECORD.size)
            for row, values in enumerate(_RECORD.iter_unpack(data), first):
                place = self._place(*values)
                if place is not None:
                    yield row, place

    def _place(self, where: int, digest: int) -> Place | None:
        if not where:
            return None
        offset, file = divmod(where - 1, self._files)
        return Place(file, offset, digest)


class LineReader:
    """
    Reads lines of many files at their places; few of the files are open at once.

    Args:
        paths: The files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: OrderedDict[int, int] = OrderedDict()

    def close(self) -> None:
        """Close the files."""
        while self._open:
            os.close(self._open.popitem()[1])

    def line(self, row: int, place: Place) -> bytes:
        """
        Return the line of *row* at *place*, with its newline.

        Raises:
            JobError: The file was changed since its place was found.
            OSError: It cannot be read.
        """
        descriptor = self._descriptor(place.file)
        size = _USUAL_LINE
        data = os.pread(descriptor, size, place.offset)
        while (end := data.find(b"\n")) < 0:
            more = os.pread(descriptor, size, place.offset + len(data))
            if not more:
                break
            data += more
            size *= 2
        line = data[: end + 1]
        if row_of(line) != row:
            raise JobError(
                f"{self._paths[place.file]} was changed while it was merged: the result of row "
                f"{row:,} is no longer at byte {place.offset:,}; merge again when no run writes "
                f"to it"
            )
        return line

    def _descriptor(self, number: int) -> int:
        descriptor = self._open.get(number)
        if descriptor is None:
            if len(self._open) >= _MOST_OPEN:
                os.close(self._open.popitem(last=False)[1])
            descriptor = os.open(self._paths[number], os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            self._open[number] = descriptor
        else:
            self._open.move_to_end(number)
        return descriptor
