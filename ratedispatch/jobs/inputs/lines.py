"""
Reads the lines of an input, numbered and of bounded length.

NUL bytes and bytes that are not UTF-8 are left to the parser of the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.jobs.state.files import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

#: Bytes of a line, its end not counted: room for pictures in it, but not for a file without ends.
LONGEST_LINE = 64 * 1024 * 1024

#: What some programs put before the first line of a text in UTF-8.
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class LongLine:
    """
    A line that is too long to be read.

    Args:
        number: Line number, counted from 1.
        length: Its length in bytes, without its end.
        longest: What it may have.
    """

    number: int
    length: int
    longest: int

    @property
    def message(self) -> str:
        """One sentence that names the line and both lengths."""
        return (
            f"line {self.number}: {self.length:,} bytes, more than the {self.longest:,} that a "
            f"line may have; is a line break missing?"
        )


def raw_lines(
    file: BinaryIO, *, longest: int = LONGEST_LINE
) -> Iterator[tuple[int, bytes | LongLine]]:
    """
    Yield all lines of *file* as they are, with their ends, numbered from 1.

    Only a byte order mark before the first one is left out. Of a line that is longer than
    *longest* bytes no more than that is kept in memory.
    """
    number = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest and not line.endswith(b"\n"):
            yield number, LongLine(number, len(line) + _skip_line(file), longest)
        else:
            yield number, line.removeprefix(BOM) if number == 1 else line


def numbered_lines(
    file: BinaryIO, *, longest: int = LONGEST_LINE
) -> Iterator[tuple[int, bytes | LongLine]]:
    """
    Yield the lines of *file* that are not blank, without white space around them.

    Lines end in ``\\n`` or ``\\r\\n``, and the last one may have no end. Blank lines are counted:
    the numbers are those that an editor shows.
    """
    for number, line in raw_lines(file, longest=longest):
        text = line if isinstance(line, LongLine) else line.strip()
        if text:
            yield number, text


def _skip_line(file: BinaryIO) -> int:
    """Read on to the end of the line; return how many bytes it still had."""
    length = 0
    while rest := file.readline(CHUNK):
        length += len(rest.removesuffix(b"\n"))
        if rest.endswith(b"\n"):
            break
    return length
