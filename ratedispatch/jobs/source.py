"""
The rows of a job that are still to be done, read from many places of its input in turn.

Decides which rows are passed over. Knows nothing of sending, nor of what a row says.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import BadRow
from ratedispatch.jobs.inputs.lines import BOM, LONGEST_LINE, LongLine
from ratedispatch.jobs.order import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ratedispatch.jobs.rowformat import RowFormat
    from ratedispatch.jobs.state.rowset import RowSet
    from ratedispatch.jobs.state.scan import Mark, Survey
    from ratedispatch.request import Request

#: Bytes that are read at a time at one place. There are several hundred places.
_BLOCK = 16 * 1024

#: Longer lines are read in larger pieces.
_LARGE_BLOCK = 1024 * 1024


class RowSource:
    """
    Yields the requests of a job.

    Args:
        file: The input; not buffered.
        survey: What there is in it.
        format: What makes a request of a line.
        done: Rows that need nothing more.
        on_bad_row: Called with every row that is no request, and its digest.
        in_order: Whether rows come in the order of the file, rather than from many places in turn.

    Attributes:
        digests: Of the rows that were yielded, until they are taken out: 16 hexadecimal digits.
    """

    def __init__(
        self,
        file: BinaryIO,
        survey: Survey,
        format: RowFormat,  # noqa: A002
        *,
        done: RowSet,
        on_bad_row: Callable[[BadRow, str], None],
        in_order: bool = False,
    ) -> None:
        self._file = file
        self._survey = survey
        self._format = format
        self._done = done
        self._on_bad_row = on_bad_row
        self._in_order = in_order
        self.digests: dict[int, str] = {}
        self._stretches: list[Stretch] = []

    @property
    def bytes_read(self) -> int:
        """How much of the input has been read, in bytes; nearly."""
        return sum(stretch.bytes_read for stretch in self._stretches)

    def __iter__(self) -> Iterator[Request]:
        """
        Yield the requests still to be done.

        Raises:
            JobError: The file has become shorter than it was.
        """
        for number, line in self._lines():
            digest = digest_of(line)
            row = self._read(line, number)
            if isinstance(row, BadRow):
                self._on_bad_row(row, digest)
                continue
            self.digests[number] = digest
            yield row

    def _read(self, line: bytes | LongLine, number: int) -> Request | BadRow:
        if isinstance(line, LongLine):
            return BadRow(number, None, "invalid_line", line.message)
        row = self._format.parse(line, number)
        if number in self._survey.duplicates and row.custom_id is not None:
            message = f"line {number}: custom_id {row.custom_id!r:.80} is there already, further up"
            return BadRow(number, row.custom_id, "duplicate_custom_id", message)
        return row

    def _lines(self) -> Iterator[tuple[int, bytes | LongLine]]:
        """Yield the lines to be done, stripped, one from each place in turn."""
        stretches = self._stretches = list(self._cut())
        if self._in_order:
            for stretch in stretches:
                yield from stretch
            return
        turns = [stretches[number] for number in spread(len(stretches))]
        while turns:
            ended = False
            for stretch in turns:
                line = next(stretch, None)
                if line is None:
                    ended = True
                    stretch.close()
                else:
                    yield line
            if ended:
                turns = [stretch for stretch in turns if not stretch.is_closed]

    def _cut(self) -> Iterator[Stretch]:
        marks = self._survey.marks
        for mark, end in zip(marks, (*marks[1:], self._survey.end), strict=True):
            if self._done.next_missing(mark.line) < end.line:
                yield Stretch(self._file, mark, end, self._done)


class Stretch:
    """
    The lines between two places of a file that are not blank and not done, stripped.

    Args:
        file: Not buffered; others move in it too.
        mark: Where it begins.
        end: The place behind it.
        done: Rows to be passed over.
    """

    def __init__(self, file: BinaryIO, mark: Mark, end: Mark, done: RowSet) -> None:
        self._file = file
        self._begin = mark.offset
        self._offset = mark.offset  # of what is read next
        self._line = mark.line
        self._end = end.offset
        self._last = end.line - 1
        self._done = done
        self._block = b""
        self._place = 0  # in the block
        self.is_closed = False

    def __iter__(self) -> Stretch:
        return self

    def __next__(self) -> tuple[int, bytes | LongLine]:
        while True:
            if self._line in self._done:
                self._pass_over(self._done.next_missing(self._line) - self._line)
            line = self._next_line() if self._line <= self._last else None
            if line is None:
                raise StopIteration
            number = self._line
            self._line += 1
            if isinstance(line, LongLine):
                return number, line
            if number == 1:
                line = line.removeprefix(BOM)
            text = line.strip()
            if text:
                return number, text

    def _pass_over(self, count: int) -> None:
        """Read on behind the next *count* lines, without a look at them."""
        self._line += count
        if self._line > self._last:
            self._block, self._place, self._offset = b"", 0, self._end
            return
        while count:
            there = self._block.count(b"\n", self._place)
            if there < count:
                count -= there
                self._block, self._place = self._read(_LARGE_BLOCK), 0
                continue
            for _ in range(count):
                self._place = self._block.index(b"\n", self._place) + 1
            count = 0
        self._keep_little()

    def _keep_little(self) -> None:
        """Give up the most of a large block: it is not kept beside some hundred others."""
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
                f"the input has become shorter while it was read: it ends at byte "
                f"{self._offset:,}, and had {self._end:,} and more"
            )
        self._offset += len(block)
        return block


def digest_of(line: bytes | LongLine) -> str:
    """Return 16 hexadecimal digits that tell the content of a row from that of others."""
    if isinstance(line, LongLine):
        return hashlib.blake2b(b"%d" % line.length, digest_size=8).hexdigest()
    return hashlib.blake2b(line, digest_size=8).hexdigest()
