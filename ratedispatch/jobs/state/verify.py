"""
Checks that result files hold the results of this input.

Compares the digests of a few lines at both ends of each file with those of their rows, and so
detects a file that was used for two jobs, or copied from elsewhere.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import head_of
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.section import Section, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ratedispatch.jobs.batchfile import Head
    from ratedispatch.jobs.state.scan import Scan

#: Lines that are examined, at either end of a file.
_LINES = 4

#: Bytes at the end of a file among which the last lines are looked for.
_TAIL = 256 * 1024


def check_results(path: Path, file: BinaryIO, scan: Scan) -> None:
    """
    Check that the result file *path* fits the input *file*; a missing one does.

    Args:
        path: The result file.
        file: The input; not buffered.
        scan: What there is in it.

    Raises:
        JobError: A line of it is the result of another row.
    """
    for head in _some_heads(path):
        if head.digest and _digest_at(file, scan, head.row) != head.digest:
            raise JobError(
                f"{path} holds a result for row {head.row:,} that does not belong to this input; "
                f"was the file given to two jobs? Give this one another file, or resume with "
                f"--allow-changed-input, which moves results of other rows aside"
            )


def _some_heads(path: Path) -> Iterator[Head]:
    try:
        result = path.open("rb")
    except FileNotFoundError:
        return
    with result:
        lines = list(islice(result, _LINES))
        size = result.seek(0, os.SEEK_END)
        if size > _TAIL:
            result.seek(size - _TAIL)
            result.readline()
            lines += result.readlines()[-_LINES - 1 :]
        else:
            result.seek(0)
            lines += result.readlines()[-_LINES - 1 :]
        for line in lines:
            head = head_of(line)
            if head is not None and line.endswith(b"\n"):
                yield head


def _digest_at(file: BinaryIO, scan: Scan, row: int) -> str | None:
    """Return the digest of the row number *row*; None if there is none."""
    index = bisect_right([checkpoint.line for checkpoint in scan.checkpoints], row) - 1
    before = RowSet()
    before.update(range(scan.checkpoints[index].line, row))
    place, line = next(Section(file, scan.checkpoints[index], scan.end, before), (0, b""))
    return digest_of(line) if place == row else None
