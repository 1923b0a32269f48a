"""
Finds the result line of each row in the result files, and decides which line counts.

The memory does not depend on the number of rows: the place of a row's line is 8 bytes in a
temporary file, at 8 times the number of the row.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from array import array
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, BinaryIO, TypeAlias

from ratedispatch.errors import JobError
from ratedispatch.jobs.state.files import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

#: Tells the number of the row from the first bytes of its line; ``None`` if the line has none.
RowOf: TypeAlias = "Callable[[bytes], int | None]"

#: Bytes of a line that are enough to tell its row: the ``id``, with its longest suffix, twice.
_HEAD = 128
#: Bytes of a place in the index, and places that are read from it at a time.
_PLACE = 8
_BLOCK = 4096


class ResultIndex:
    """
    The lines of *results*, by the number of their row.

    Each file is read once, from its beginning to its end, when this is made. A row that has
    several lines has the last one of the last file. A last line without its newline, which a
    crash has cut off, and lines of no row are passed over; so is a file that does not exist.

    Used as a context manager, since it holds the files open.

    Args:
        results: Files of lines in Batch output format; if a row can be in several, the one that
            counts goes last.
        row_of: Tells the row of a line by its first 128 bytes.
        folder: Where the file of places is put. It has no name, so nothing is left behind; its
            size is 8 bytes for each row up to the highest number.

    Raises:
        OSError: A file cannot be read, or the file of places not be written.
    """

    def __init__(self, results: Sequence[Path], row_of: RowOf, folder: Path) -> None:
        self._row_of = row_of
        self._files: list[tuple[Path, BinaryIO]] = []
        self._first = 0  # the row that the block in memory begins with
        self._block = array("Q")
        with ExitStack() as stack:
            # unbuffered: it is written and read at places, and a block of it is kept
            self._places: IO[bytes] = stack.enter_context(
                tempfile.TemporaryFile(dir=folder, buffering=0)
            )
            for path in results:
                if path.exists():
                    file: BinaryIO = stack.enter_context(path.open("rb"))
                    self._files.append((path, file))
            for number, (_, opened) in enumerate(self._files):
                for offset, head in line_starts(opened):
                    row = row_of(head)
                    if row is not None:
                        # + 1: a hole in the file of places is full of zeros
                        self._put(row, offset * len(self._files) + number + 1)
            self._stack = stack.pop_all()

    def __enter__(self) -> ResultIndex:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def __contains__(self, row: int) -> bool:
        return self._place(row) != 0

    def line(self, row: int) -> bytes | None:
        """
        Return the line of *row*, with its newline; ``None`` if it has none.

        Fast if rows are asked for about in the order in which they were answered.

        Raises:
            JobError: The file was changed since it was indexed.
        """
        place = self._place(row)
        if place == 0:
            return None
        offset, number = divmod(place - 1, len(self._files))
        path, file = self._files[number]
        file.seek(offset)
        line = file.readline()
        if not line.endswith(b"\n") or self._row_of(line[:_HEAD]) != row:
            raise JobError(
                f"{path} was changed while a table was made of it: the result of row {row:,} is no "
                f"longer at byte {offset:,}; run the same command again"
            )
        return line

    def _put(self, row: int, place: int) -> None:
        # not by blocks: the rows of several models are answered far apart, in turn
        data = place.to_bytes(_PLACE, sys.byteorder)
        if os.pwrite(self._places.fileno(), data, row * _PLACE) != _PLACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _place(self, row: int) -> int:
        if not self._first <= row < self._first + len(self._block):
            self._first = row - row % _BLOCK
            data = os.pread(self._places.fileno(), _BLOCK * _PLACE, self._first * _PLACE)
            self._block = array("Q", data.ljust(_BLOCK * _PLACE, b"\0"))
        return self._block[row - self._first]


def line_starts(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """
    Yield the place of each whole line of *file* and its first 128 bytes, or all if it has fewer.

    Holds no line as a whole, so memory does not depend on how long they are.
    """
    start = position = 0
    head = b""
    while chunk := file.read(CHUNK):
        at = 0
        while (end := chunk.find(b"\n", at)) >= 0:
            head += chunk[at : min(end, at + _HEAD - len(head))]
            yield start, head
            head = b""
            at = end + 1
            start = position + at
        head += chunk[at : at + _HEAD - len(head)]
        position += len(chunk)
