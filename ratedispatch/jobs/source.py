"""
The rows of a request file.

Decides what counts as a row and which rows are still to be done. Knows nothing of sending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.jobs.batchfile import BadRow, parse_line
from ratedispatch.jobs.names import NameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ratedispatch.request import Request

_BOM = b"\xef\xbb\xbf"


class BatchSource:
    """
    Reads a JSONL file in OpenAI's Batch format, one line at a time.

    Args:
        path: The file.
        is_done: Tells whether a row needs nothing more.
        on_bad_row: Called with every row that is no request.

    Attributes:
        bytes_read: How far in the file it is, give or take line ends and blank lines.
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
        self.bytes_read = 0

    def __iter__(self) -> Iterator[Request]:
        """Yield the requests still to be done, in the order of the file."""
        names = NameSet()
        for number, line in numbered_rows(self._path):
            self.bytes_read += len(line) + 1
            row = parse_line(line, number)
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


def numbered_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of *path* that are not blank, with their numbers, counted from 1."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(_BOM) if number == 1 else line
            text = text.strip()
            if text:
                yield number, text


def count_rows(path: Path) -> int:
    """Return the number of lines that are not blank: what a progress bar counts up to."""
    return sum(1 for _ in numbered_rows(path))
