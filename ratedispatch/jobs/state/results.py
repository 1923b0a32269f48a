"""
Reads from the result files of a job which rows are done, by the first bytes of each line.

A line that a crash or a power cut has torn is cut off. Answers are not parsed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import HEAD, ROW_DIGITS
from ratedispatch.jobs.state.files import CHUNK, copy_all, open_appending
from ratedispatch.jobs.state.rowset import RowSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: What follows the number of a row.
_ENDS = (b'"', b"-")

#: How a line ends: with the error of its row, or none.
_LINE_ENDS = (b":null}\n", b"}}\n")

#: A number beyond is damage: a set with it would take a hundred megabytes and more.
_MOST_ROWS = 10**9


@dataclass(frozen=True, slots=True)
class Recovered:
    """
    What a result file holds.

    Args:
        rows: Those that have a whole line.
        damaged: Where is kept what was cut off as damaged; None if nothing was.
        foreign: Lines of other programs, and lines that these have torn.
        first_foreign: The number of the first of them; 0 if there is none.
    """

    rows: RowSet
    damaged: Path | None = None
    foreign: int = 0
    first_foreign: int = 0


def recover(path: Path) -> Recovered:
    """
    Return the rows that have a whole line in the result file *path*; none if it is missing.

    After a power cut a part of it may never have reached the disk, and reads as zeros. It is cut
    off from there, and what was behind is kept in a file beside it, ``….damaged``.

    Lines that another program has put between those of this one stay there, and are counted.

    Raises:
        JobError: It holds lines, and none that this program wrote.
        OSError: It cannot be read or cut.
    """
    rows = RowSet()
    try:
        file = path.open("rb", buffering=CHUNK)
    except FileNotFoundError:
        return Recovered(rows)
    with file:
        reader = ResultReader(file)
        rows.update(reader)
    if reader.first_foreign and not len(rows):
        raise JobError(
            f"line {reader.first_foreign} of {path} was not written by ratedispatch; "
            f"choose another output, or remove that line"
        )
    damaged = None if reader.hole is None else _cut(path, reader.hole)
    return Recovered(rows, damaged, reader.foreign, reader.first_foreign)


class ResultReader:
    """
    Yields the row of each whole line of a result file, up to a hole.

    Args:
        file: Read from its beginning.

    Attributes:
        line: The line of the row that was yielded last.
        begin: Where it begins.
        hole: Where bytes begin that never reached the disk; None if there are none.
        foreign: Lines so far that belong to no row.
        first_foreign: The number of the first of them; 0 if there is none.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.line = b""
        self.begin = 0
        self.hole: int | None = None
        self.foreign = self.first_foreign = 0

    def __iter__(self) -> Iterator[int]:
        begin = 0
        head, first, last = HEAD, len(HEAD), len(HEAD) + ROW_DIGITS
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                return  # torn by a crash
            if b"\0" in line:
                self.hole = begin
                return
            digits = line[first:last]
            is_own = line.startswith(head) and digits.isdigit() and line[last : last + 1] in _ENDS
            self.line, self.begin = line, begin
            begin += len(line)
            if is_own and int(digits) <= _MOST_ROWS and _is_whole(line):
                yield int(digits)
            else:
                self.foreign += 1
                self.first_foreign = self.first_foreign or number


def _is_whole(line: bytes) -> bool:
    """Whether a line that begins as one of ours ends as one: another program may have torn it."""
    if line.endswith(_LINE_ENDS):
        return True
    try:  # not by its end: it was written by an older release
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _cut(path: Path, end: int) -> Path:
    damaged = path.with_name(path.name + ".damaged")
    with (
        path.open("r+b", buffering=0) as file,
        open_appending(damaged) as rest,
    ):
        file.seek(end)
        copy_all(file, rest)
        os.fsync(rest.fileno())
        file.truncate(end)
        os.fsync(file.fileno())
    return damaged
