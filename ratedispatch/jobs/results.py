"""
What the result files of a job hold.

Decides which rows are done, by the first bytes of each line: answers are not parsed. What a crash
or a power cut has left of a line that was being written is cut off. Knows nothing of inputs.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.rowset import RowSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 4 * 1024 * 1024

#: The beginnings of the lines that this program writes.
_HEADS = re.compile(rb'^\{"id":"batch_req_(\d{12})["-]', re.MULTILINE)


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
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return rows
    with file:
        number = begin = 0  # lines, and bytes, before the text that comes next
        for text in _whole_lines(file):
            hole = text.find(b"\0")
            whole = text if hole < 0 else text[: text.rfind(b"\n", 0, hole) + 1]
            found = _HEADS.findall(whole)
            count = whole.count(b"\n")
            if len(found) != count:
                _refuse(path, whole, number)
            for row in found:
                rows.add(int(row))
            number += count
            begin += len(whole)
            if hole >= 0:
                _cut(path, begin)
                break
    return rows


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


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *file* that have an end, many at a time."""
    pieces: list[bytes] = []
    while block := file.read(_CHUNK):
        end = block.rfind(b"\n") + 1
        if not end:
            pieces.append(block)
            continue
        yield b"".join((*pieces, block[:end]))
        pieces = [block[end:]]


def _refuse(path: Path, text: bytes, before: int) -> None:
    for number, line in enumerate(text.split(b"\n"), before + 1):
        if row_of(line) is None:
            raise JobError(
                f"line {number} of {path} was not written by ratedispatch; "
                f"choose another output, or remove that line"
            )
