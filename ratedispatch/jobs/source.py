"""
Reads the rows of a job that are still to be sent, in file order or from many sections in turn.

Skips rows that are done, and reports rows that cannot be sent. Does not send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.events import RequestSkipped
from ratedispatch.jobs.batchfile import BadRow
from ratedispatch.jobs.inputs.lines import LongLine
from ratedispatch.jobs.state.section import Section, digest_of
from ratedispatch.simulate.forecast.reading_order import interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ratedispatch.events import Event
    from ratedispatch.jobs.rowformat import RowFormat
    from ratedispatch.jobs.state.rowset import RowSet
    from ratedispatch.jobs.state.scan import Scan
    from ratedispatch.request import Request


class RowSource:
    """
    Yields the requests of a job. A listener.

    Args:
        file: The input; not buffered.
        scan: What there is in it.
        format: What makes a request of a line.
        done: Rows that need nothing more.
        on_bad_row: Called with every row that is not a request, and its digest.
        in_order: Whether rows come in the order of the file, rather than from many places in turn.

    Attributes:
        digests: Of the rows that were yielded, until they are taken out: 16 hexadecimal digits.
    """

    def __init__(
        self,
        file: BinaryIO,
        scan: Scan,
        format: RowFormat,  # noqa: A002
        *,
        done: RowSet,
        on_bad_row: Callable[[BadRow, str], None],
        in_order: bool = False,
    ) -> None:
        self._file = file
        self._scan = scan
        self._format = format
        self._has_duplicates = len(scan.duplicates) > 0
        self._done = done
        self._on_bad_row = on_bad_row
        self._in_order = in_order
        self.digests: dict[int, str] = {}
        self._sections: list[Section] = []

    listens_to = frozenset({RequestSkipped})

    def __call__(self, event: Event) -> None:
        """Drop the digest of a row that is left unanswered in this run."""
        if isinstance(event, RequestSkipped) and event.request.row is not None:
            self.digests.pop(event.request.row, None)

    @property
    def bytes_read(self) -> int:
        """How much of the input has been read, in bytes; nearly."""
        return sum(section.bytes_read for section in self._sections)

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
        if self._has_duplicates and number in self._scan.duplicates and row.custom_id is not None:
            message = f"line {number}: custom_id {row.custom_id!r:.80} is used on an earlier line"
            return BadRow(number, row.custom_id, "duplicate_custom_id", message)
        return row

    def _lines(self) -> Iterator[tuple[int, bytes | LongLine]]:
        """Yield the lines to be done, stripped, one from each place in turn."""
        sections = self._sections = list(self._cut())
        if self._in_order:
            for section in sections:
                yield from section
            return
        turns = [sections[number] for number in interleaved(len(sections))]
        while turns:
            ended = False
            for section in turns:
                line = next(section, None)
                if line is None:
                    ended = True
                    section.close()
                else:
                    yield line
            if ended:
                turns = [section for section in turns if not section.is_closed]

    def _cut(self) -> Iterator[Section]:
        checkpoints = self._scan.checkpoints
        for checkpoint, end in zip(checkpoints, (*checkpoints[1:], self._scan.end), strict=True):
            if self._done.next_missing(checkpoint.line) < end.line:
                yield Section(self._file, checkpoint, end, self._done)
