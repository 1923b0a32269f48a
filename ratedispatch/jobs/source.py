"""
The rows of a request file.

Decides what counts as a row and which rows are still to be done. Knows nothing of sending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.inputs.lines import LongLine, numbered_lines
from ratedispatch.inputs.streams import open_bytes
from ratedispatch.jobs.batchfile import BadRow, parse_line
from ratedispatch.jobs.names import NameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ratedispatch.inputs.streams import ByteReader
    from ratedispatch.request import Request


class BatchSource:
    """
    Reads a JSONL file in OpenAI's Batch format, one line at a time.

    Args:
        path: The file; one that ends in ``.gz`` or ``.zst`` is unpacked.
        is_done: Tells whether a row needs nothing more.
        on_bad_row: Called with every row that is no request.
    """

    def __init__(
        self,
        path: Path,
        *,
        is_done: Callable[[int], bool],
        on_bad_row: Callable[[BadRow], None],
    ) -> None:
        self._path = path
        self._is_done = is_done
        self._on_bad_row = on_bad_row
        self._file: ByteReader | None = None

    @property
    def bytes_read(self) -> int:
        """How far in the file it is, in bytes as they are there."""
        return 0 if self._file is None else self._file.bytes_read

    def __iter__(self) -> Iterator[Request]:
        """Yield the requests still to be done, in the order of the file."""
        names = NameSet()
        with open_bytes(self._path) as self._file:
            for number, line in numbered_lines(self._file):
                row = _read(line, number)
                name = row.custom_id
                if name is not None and not names.add(name):
                    message = f"line {number}: custom_id {name!r:.80} is there already, further up"
                    row = BadRow(number, name, "duplicate_custom_id", message)
                if self._is_done(number):
                    continue
                if isinstance(row, BadRow):
                    self._on_bad_row(row)
                else:
                    yield row


def _read(line: bytes | LongLine, number: int) -> Request | BadRow:
    if isinstance(line, LongLine):
        return BadRow(number, None, "invalid_line", line.message)
    return parse_line(line, number)


def count_rows(path: Path) -> int:
    """
    Return the number of lines that are not blank: what a progress bar counts up to.

    Raises:
        JobError: The file cannot be read to its end.
    """
    with open_bytes(path) as file:
        return sum(1 for _ in numbered_lines(file))


def is_empty(path: Path) -> bool:
    """
    Return whether *path* has no line that is not blank.

    Raises:
        JobError: The file cannot be read.
    """
    with open_bytes(path) as file:
        return next(numbered_lines(file), None) is None
