"""
Reads the rows of a CSV file.

Text stays as it is in the file: nothing is read as a number, a date or a missing value.

Source: RFC 4180, for quotes and line ends.
"""

from __future__ import annotations

import csv
from itertools import zip_longest
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.lines import LONGEST_LINE, LongLine, raw_lines
from ratedispatch.jobs.inputs.row import BrokenRow, Table, check_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ratedispatch.jobs.inputs.row import Row

#: What separates cells, the likeliest first.
DELIMITERS = (",", ";", "\t")


def csv_table(
    file: BinaryIO, name: str, delimiter: str | None = None, *, longest: int = LONGEST_LINE
) -> Table:
    """
    Return the table in *file*, whose first line names the columns.

    Rows are numbered from 1, the line of names and blank rows not counted. White space around
    names is dropped, and columns without a name are left out.

    Args:
        file: Its bytes.
        name: How messages name it.
        delimiter: What separates cells; found in the first line if not given.
        longest: Bytes that a row may have.

    Raises:
        JobError: Here or while rows are read: the file is empty, is not UTF-8, has a column
            twice, has quotes that do not close, or a row of more than *longest* bytes.
    """
    if delimiter is not None and delimiter not in DELIMITERS:
        raise JobError(f"the delimiter {delimiter!r:.20} is not one of ',', ';' and a tab")
    feed = _Feed(file, name, longest)
    header = feed.peek()
    records = _records(feed, name, delimiter or _delimiter_of(header))
    first = next(records, None)
    if first is None:
        raise JobError(f"the input {name} is empty")
    names = [cell.strip() for cell in first[1]]
    columns = check_names([column for column in names if column], name)
    return Table(columns, _rows(records, names))


def _rows(
    records: Iterator[tuple[int, list[str]]], names: list[str]
) -> Iterator[tuple[int, Row | BrokenRow]]:
    for number, (line, cells) in enumerate(records, 1):
        if any(cells[len(names) :]):
            yield (
                number,
                BrokenRow(
                    f"line {line}: the row has {len(cells)} cells but there are {len(names)} "
                    f"columns; put cells that contain the delimiter in quotes"
                ),
            )
            continue
        row = dict(zip_longest(names, cells[: len(names)], fillvalue=""))
        row.pop("", None)
        yield number, row


def _records(feed: _Feed, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with the numbers of the lines on which they begin."""
    # the limit is the process's, 131,072 characters unless raised; the feed has its own
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        line = feed.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise JobError(
                f"line {line} of the input {name} begins a row that is not CSV: {error}; check its "
                f"quotes (within a quoted cell, a quote is written twice)"
            ) from error
        if any(cell.strip() for cell in cells):
            yield line, cells


class _Feed:
    """The lines of a file as texts, with a bound on those that make one row."""

    def __init__(self, file: BinaryIO, name: str, longest: int) -> None:
        self._lines = raw_lines(file, longest=longest)
        self._name = name
        self._longest = longest
        self._number = 0
        self._first_of_row = 1
        self._held = 0
        self._peeked: str | None = None

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        text, self._peeked = self._peeked, None
        return self._read() if text is None else text

    def peek(self) -> str:
        """Return the first line that is not blank, which stays to be read; empty if none."""
        self.begin_row()
        for text in self:
            if text.strip():
                self._peeked = text
                return text
            self.begin_row()
        return ""

    def begin_row(self) -> int:
        """Reset the count; return the number of the next line."""
        self._first_of_row = self._number + (self._peeked is None)
        self._held = 0
        return self._first_of_row

    def _read(self) -> str:
        self._number, line = next(self._lines)
        self._held += line.length if isinstance(line, LongLine) else len(line)
        if isinstance(line, LongLine) or self._held > self._longest:
            raise JobError(
                f"the row that begins on line {self._first_of_row} of the input {self._name} has "
                f"at least {self._held:,} bytes, but a row may have {self._longest:,}; "
                f"is a closing quote missing?"
            )
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise JobError(
                f"line {self._number} of the input {self._name} is not UTF-8: {error.reason} at "
                f"byte {error.start + 1}; save it as CSV in UTF-8 (from Windows it may be "
                f"cp1252: iconv -f cp1252 -t utf-8)"
            ) from error


def _delimiter_of(header: str) -> str:
    """Return what stands most often outside of quotes in *header*; a comma if nothing does."""
    outside = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=outside.count)
