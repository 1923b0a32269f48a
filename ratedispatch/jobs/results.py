"""
What the result files of a job hold.

Decides which rows are done, by the first bytes of each line: answers are not parsed. What a crash
or a power cut has left of a line that was being written is cut off. Knows nothing of inputs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import HEAD, ROW_DIGITS
from ratedispatch.jobs.rowset import RowSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1024 * 1024

#: What follows the number of a row.
_ENDS = (b'"', b"-")


def recover(path: Path) -> RowSet:
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
        file = path.open("rb", buffering=_CHUNK)
    except FileNotFoundError:
        return rows
    with file:
        rows.update(_rows_in(path, file))
    return rows


def _rows_in(path: Path, file: BinaryIO) -> Iterator[int]:
    """Yield the row of each whole line; cut the file off at a hole."""
    begin = 0
    head, first, last = HEAD, len(HEAD), len(HEAD) + ROW_DIGITS
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n"):
            return  # torn by a crash
        if b"\0" in line:
            _cut(path, begin)
            return
        digits = line[first:last]
        if not line.startswith(head) or not digits.isdigit() or line[last : last + 1] not in _ENDS:
            raise JobError(
                f"line {number} of {path} was not written by ratedispatch; "
                f"choose another output, or remove that line"
            )
        begin += len(line)
        yield int(digits)


def _cut(path: Path, end: int) -> None:
    with (
        path.open("r+b", buffering=0) as file,
        path.with_name(path.name + ".damaged").open("ab", buffering=0) as rest,
    ):
        file.seek(end)
        while block := file.read(_CHUNK):
            rest.write(block)
        os.fsync(rest.fileno())
        file.truncate(end)
        os.fsync(file.fileno())
