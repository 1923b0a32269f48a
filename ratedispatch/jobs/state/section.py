"""
Reads the rows of one section of an input, and tells rows apart by their digests.

Many sections read from one file in turn, so each keeps its own position and only a small block.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.lines import BOM, LONGEST_LINE, LongLine

if TYPE_CHECKING:
    from ratedispatch.jobs.state.rowset import RowSet
    from ratedispatch.jobs.state.scan import Checkpoint

#: Bytes that a section reads at a time. There are several hundred sections.
_BLOCK = 16 * 1024

#: Bytes that it reads at a time within a longer line.
_LARGE_BLOCK = 1024 * 1024


class Section:
    """
    Yields the lines between two checkpoints that are neither blank nor done, stripped.

    Args:
        file: Not buffered; other sections move in it too.
        begin: The checkpoint of its first line.
        end: The checkpoint behind its last line.
        done: Rows to skip.
    """

    def __init__(self, file: BinaryIO, begin: Checkpoint, end: Checkpoint, done: RowSet) -> None:
        self._file = file
        self._begin = begin.offset
        self._offset = begin.offset  # of what is read next
        self._line = begin.line
        self._end = end.offset
        self._last = end.line - 1
        self._done = done
        self._block = b""
        self._place = 0  # in the block
        self.is_closed = False

    def __iter__(self) -> Section:
        return self

    def __next__(self) -> tuple[int, bytes | LongLine]:
        while self._line <= self._last:
            if self._line in self._done:
                self._skip(self._done.next_missing(self._line) - self._line)
            line = self._next_line() if self._line <= self._last else None
            if line is None:
                break
            number = self._line
            self._line += 1
            if isinstance(line, LongLine):
                return number, line
            if number == 1:
                line = line.removeprefix(BOM)
            text = line.strip()
            if text:
                return number, text
        raise StopIteration

    def _skip(self, count: int) -> None:
        """Move past the next *count* lines without decoding them."""
        self._line += count
        if self._line > self._last:
            self._block, self._place, self._offset = b"", 0, self._end
            return
        size = _BLOCK
        while count:
            there = self._block.count(b"\n", self._place)
            if there < count:
                count -= there
                self._block, self._place = self._read(size), 0
                # the rows of a shard are a few lines apart: what is read beyond is read again
                size = min(2 * size, _LARGE_BLOCK)
                continue
            for _ in range(count):
                self._place = self._block.index(b"\n", self._place) + 1
            count = 0
        self._keep_little()

    def _keep_little(self) -> None:
        """Drop most of a large block: several hundred sections each keep one."""
        if len(self._block) > _BLOCK:
            keep = self._block[self._place : self._place + _BLOCK]
            self._offset -= len(self._block) - self._place - len(keep)
            self._block, self._place = keep, 0

    @property
    def bytes_read(self) -> int:
        """Bytes that were read of it."""
        return self._offset - self._begin

    def close(self) -> None:
        """Forget what was read ahead."""
        self._block = b""
        self.is_closed = True

    def _next_line(self) -> bytes | LongLine | None:
        """Return the next line, without its end; None behind the last one."""
        cut = self._block.find(b"\n", self._place)
        if cut >= 0:
            line = self._block[self._place : cut]
            self._place = cut + 1
            return line
        pieces = [self._block[self._place :]]
        length = len(pieces[0])
        self._block, self._place = b"", 0
        size = _BLOCK
        while self._offset < self._end:
            block = self._read(size)
            size = _LARGE_BLOCK
            cut = block.find(b"\n")
            if cut >= 0:
                self._block, self._place = block, cut + 1
                self._keep_little()
                length += cut
                pieces.append(block[:cut])
                break
            length += len(block)
            if length <= LONGEST_LINE:
                pieces.append(block)
        else:
            if not length:
                return None
        if length > LONGEST_LINE:
            return LongLine(self._line, length, LONGEST_LINE)
        return b"".join(pieces)

    def _read(self, size: int) -> bytes:
        self._file.seek(self._offset)
        block = self._file.read(min(size, self._end - self._offset))
        if not block:
            raise JobError(
                f"the input became shorter while it was read: it ends at byte "
                f"{self._offset:,}, but had at least {self._end:,}"
            )
        self._offset += len(block)
        return block


def digest_of(line: bytes | LongLine) -> str:
    """Return 16 hexadecimal digits that tell the content of a row from that of others."""
    if isinstance(line, LongLine):
        return hashlib.blake2b(b"%d" % line.length, digest_size=8).hexdigest()
    return hashlib.blake2b(line, digest_size=8).hexdigest()
