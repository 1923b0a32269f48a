"""
Reads from the result files of a job which rows are done, by the first bytes of each line.

A line that a crash or a power cut has torn is cut off. Answers are not parsed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import HEAD, ROW_DIGITS
from ratedispatch.jobs.state.files import CHUNK, copy_all
from ratedispatch.jobs.state.rowset import RowSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: What follows the number of a row.
_ENDS = (b'"', b"-")

#: A number beyond is damage: a set with it would take a hundred megabytes and more.
_MOST_ROWS = 10**9


@dataclass(frozen=True, slots=True)
class Recovered:
    """
    What a result file holds.

    Args:
        rows: Those that have a whole line.
        damaged: Where is kept what was cut off as damaged; None if nothing was.
    """

    rows: RowSet
    damaged: Path | None = None


def recover(path: Path) -> Recovered:
    """
    Return the rows that have a whole line in the result file *path*; none if it is missing.

    After a power cut a part of it may never have reached the disk, and reads as zeros. It is cut
    off from there, and what was behind is kept in a file beside it, ``….damaged``.

    Raises:
        JobError: It holds a line that this program did not write.
        OSError: It cannot be read or cut.
    """
    rows = RowSet()
    try:
        file = path.open("rb", buffering=CHUNK)
    except FileNotFoundError:
        return Recovered(rows)
    with file:
        reader = _Reader(path, file)
        rows.update(reader)
    return Recovered(rows, None if reader.hole is None else _cut(path, reader.hole))


class _Reader:
    """The row of each whole line, up to a hole."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self.hole: int | None = None

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
            if not is_own or int(digits) > _MOST_ROWS:
                raise JobError(
                    f"line {number} of {self._path} was not written by ratedispatch; "
                    f"choose another output, or remove that line"
                )
            begin += len(line)
            yield int(digits)


def _cut(path: Path, end: int) -> Path:
    damaged = path.with_name(path.name + ".damaged")
    with (
        path.open("r+b", buffering=0) as file,
        damaged.open("ab", buffering=0) as rest,
    ):
        file.seek(end)
        copy_all(file, rest)
        os.fsync(rest.fileno())
        file.truncate(end)
        os.fsync(file.fileno())
    return damaged
