"""
Appends result lines to a file, each whole or not at all.

Decides when lines are written and when they are on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.jobs.state.files import (
    check_place,
    copy_all,
    lock,
    open_appending,
    open_new,
    sync_folder,
    write_all,
)

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes that may wait to be written; a larger backlog is written at once.
_BUFFER = 256 * 1024


class Fsync(StrEnum):
    """When what was written is made to survive a power cut."""

    ALWAYS = "always"
    """Before it is counted as done."""
    INTERVAL = "interval"
    """Within a second."""
    NEVER = "never"
    """When the system likes, and at the end."""


class LineSink:
    """
    Appends lines to a file.

    A line that a crash has cut off is removed when the file is opened again, so the file has only
    complete lines. The file is created on opening. Another program may truncate it or append to it
    meanwhile: an incomplete line is removed or ended before the next one is written.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened for writing.
        JobError: Another process writes to it.

    Attributes:
        written: Lines that were written since the file was opened.
        synced: Lines of these that survive a power cut.
        saved: A sentence on what another program did to the file; empty if it did nothing.
        size: Bytes of the file, as far as this has written it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0
        self.synced = 0
        self.saved = ""
        self._sync_error: OSError | None = None
        self._buffer = bytearray()
        self._is_cut = False
        self._torn = bytearray()  # the part of a line that was written before the disk was full
        self._file: BinaryIO = open_appending(path)
        try:
            lock(self._file, path)
            _cut_torn_line(self._file)
            self.size = self._file.seek(0, os.SEEK_END)
        except BaseException:
            self._file.close()
            raise
        sync_folder(path)

    def append(self, line: bytes) -> None:
        """Take *line*, which ends in a newline; it is written with the next flush at the latest."""
        self._buffer += line
        if len(self._buffer) >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """
        Write what waits. From then on it survives the end of this process, however it comes.

        Raises:
            OSError: Not all of it could be written; the rest still waits.
        """
        if self._buffer and os.fstat(self._file.fileno()).st_size != self.size:
            self._mend()
        while self._buffer:
            size = self._file.write(self._buffer)
            self.written += self._buffer.count(b"\n", 0, size)
            self.size += size
            if size < len(self._buffer) or self._torn:
                self._torn += self._buffer[:size]
                del self._torn[: self._torn.rfind(b"\n") + 1]
            del self._buffer[:size]

    @property
    def is_dirty(self) -> bool:
        """Whether lines were written that may not survive a power cut."""
        return self.synced < self.written

    def sync(self) -> None:
        """
        Wait until what was written is on the disk; may be called in a thread.

        Raises:
            OSError: The disk has failed, or the file is no longer where it was.
        """
        written = self.written
        if self._sync_error is None:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                # the system tells it once, and says next time that all is well
                self._sync_error = error
        if self._sync_error is not None:
            raise self._sync_error
        self.synced = written

    def check(self) -> None:
        """
        Check that the file is still where it was made, and whole.

        Raises:
            OSError: It was removed or cut, or there is another one in its place.
        """
        check_place(self._file, self.path)
        if self._is_cut or os.fstat(self._file.fileno()).st_size < self.size:
            raise OSError(errno.EIO, f"{self.path} was truncated by another program")

    @property
    def lines_waiting(self) -> int:
        """Lines that were taken and are not written, as a whole."""
        return self._buffer.count(b"\n")

    def close(self) -> None:
        """Write what waits, down to the disk, put the file back if it is gone, and close it."""
        try:
            try:
                self.flush()
                self.sync()
            finally:
                self._put_back()
        finally:
            self._file.close()

    def _mend(self) -> None:
        """Make the file end with a whole line after another program has written to it."""
        self._buffer[:0] = self._torn  # to be written as a whole
        self._torn.clear()
        there = os.fstat(self._file.fileno()).st_size
        if there < self.size:
            # what is left of the last line is ours; its row is sent again by the next run
            self._is_cut = True
            _cut_torn_line(self._file)
        else:
            self.saved = f"another program wrote to {self.path} while the job ran"
            self._file.seek(there - 1)
            if self._file.read(1) != b"\n":
                write_all(self._file, b"\n")
        self.size = self._file.seek(0, os.SEEK_END)

    def _put_back(self) -> None:
        """Save what was written to a file that has lost its name."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                return
        path = self.path
        number = 0
        while True:
            try:
                copy = open_new(path)
                break
            except FileExistsError:  # not ours: someone may want it
                number += 1
                path = self.path.with_name(f"{self.path.name}.saved-{number}")
        with copy:
            self._file.seek(0)
            copy_all(self._file, copy)
            os.fsync(copy.fileno())
        self.saved = f"{self.path} was removed or replaced; its lines were saved to {path}"


def _cut_torn_line(file: BinaryIO) -> None:
    """Remove what follows the last newline of *file*."""
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
