"""
Where results go: lines appended to a file, each whole or absent.

Knows nothing of what the lines say.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes that may wait to be written; a larger backlog is written at once.
_BUFFER = 256 * 1024


class LineSink:
    """
    Appends lines to a file.

    A line that a crash has cut off is removed when the file is opened again, so what was there
    is whole. The file is created on opening.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._buffer = bytearray()
        self._file: BinaryIO = path.open("ab", buffering=0)
        _cut_torn_line(path)

    def append(self, line: bytes) -> None:
        """Take *line*, which ends in a newline; it is written with the next flush at the latest."""
        self._buffer += line
        if len(self._buffer) >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        while self._buffer:
            written = self._file.write(self._buffer)
            del self._buffer[:written]

    @property
    def lines_waiting(self) -> int:
        """Lines that were taken and are not written, as a whole."""
        return self._buffer.count(b"\n")

    def close(self) -> None:
        """Write what waits, down to the disk, and close the file."""
        try:
            self.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of *path*; none if it does not exist."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _cut_torn_line(path: Path) -> None:
    """Remove what follows the last newline of *path*."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - 65_536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < end:
            file.truncate(position)
