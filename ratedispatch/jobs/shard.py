"""
Splits the rows of a file among machines that do not talk to one another. Pure.

The shard of a row depends only on the number of its line and on the number of shards: every
machine, release and system gets the same result.

Source: the blocks of a randomized block design; each block has every shard once, in an order of
its own, so that neither the counts differ by more than one nor does a pattern of the input (every
fourth row is long) fall on one shard.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import count, takewhile
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.state.rowset import RowSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: More shards than this are a mistake: a file that needs them meets other limits first.
MOST_SHARDS = 100_000

_TEXT = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", re.ASCII)

#: How the name of a shard's file ends, before its suffix.
_TAG = re.compile(r"\.(\d{1,6})-of-(\d{1,6})\Z", re.ASCII)

#: What is written to the name of a folder, or to standard output, is refused elsewhere.
_NO_FILES = frozenset({"", "-", ".."})


@dataclass(frozen=True, slots=True)
class Shard:
    """
    One of several parts of a file.

    Lines come in blocks of *count*. In the block number b, both counted from 0, the shard *index*
    has the line at the place (*index* + h) mod *count*, where h is the number in the first 8 bytes
    of the SHA-256 of the text ``b/count``.

    Args:
        index: The number of the shard, counted from 0.
        count: How many there are.

    Raises:
        ValueError: There is no such shard.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SHARDS:
            raise ValueError(
                f"{self} asks for {self.count:,} shards, but there can be 1 to {MOST_SHARDS:,}"
            )
        if not 0 <= self.index < self.count:
            last = f"{self.count - 1}/{self.count}"
            there_are = (
                f"the only one of 1 is {last}"
                if self.count == 1
                else f"those of {self.count:,} are 0/{self.count} to {last}"
            )
            raise ValueError(
                f"there is no shard {self}: shards are counted from 0, and {there_are}"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """
        Return the shard that *text* names, such as ``3/16``.

        Raises:
            ValueError: It names none.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r:.40} is not I/N, such as 3/16: the number of a shard, counted from 0, "
                f"and how many shards there are"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def __contains__(self, line: int) -> bool:
        return line >= 1 and self._line((line - 1) // self.count) == line

    def lines(self) -> Iterator[int]:
        """Yield the numbers of its lines, counted from 1, without end."""
        return map(self._line, count())

    def rows(self, last: int) -> RowSet:
        """Return its lines of a file that has *last* lines."""
        rows = RowSet()
        rows.update(takewhile(lambda line: line <= last, self.lines()))
        return rows

    def others(self, last: int) -> RowSet:
        """Return the lines of all other shards of a file that has *last* lines."""
        rows = RowSet.up_to(last)
        rows.remove(self.rows(last))
        return rows

    def share(self, last: int) -> int:
        """Return how many of the first *last* lines are its own."""
        blocks = last // self.count
        return blocks + (self._line(blocks) <= last)

    def path(self, path: Path) -> Path:
        """
        Return where this shard writes what was asked for at *path*.

        ``out.03-of-16.jsonl`` for ``out.jsonl``; a name that has the tag already stays.

        Raises:
            JobError: *path* is named after another shard.
        """
        if path.name in _NO_FILES:
            return path
        stem = path.stem
        named = _TAG.search(stem) or _TAG.search(path.name)
        if named is None:
            width = len(str(self.count - 1))
            tag = f".{self.index:0{width}}-of-{self.count}"
            return path.with_name(f"{stem}{tag}{path.suffix}")
        if (int(named[1]), int(named[2])) != (self.index, self.count):
            raise JobError(
                f"{path} is named after shard {int(named[1])}/{int(named[2])}, but this is shard "
                f"{self}; omit the shard from the name, because it is added"
            )
        return path

    def _line(self, block: int) -> int:
        return block * self.count + 1 + (self.index + _turn(block, self.count)) % self.count


def _turn(block: int, count: int) -> int:
    """Return by how many places the shards of *block* are turned."""
    return int.from_bytes(hashlib.sha256(b"%d/%d" % (block, count)).digest()[:8], "big")


def shard_of(line: int, count: int) -> int:
    """Return the number of the shard, of *count*, that *line* belongs to."""
    block, place = divmod(line - 1, count)
    return (place - _turn(block, count)) % count


def others_of(name: str, last: int) -> RowSet:
    """Return the lines of a file of *last* lines that are not those of the shard called *name*."""
    return Shard.parse(name).others(last) if name else RowSet()


def check_shard(before: str, now: Shard | None, output: Path) -> None:
    """
    Check that *output*, begun by the shard *before*, is resumed by the same shard.

    Args:
        before: As the job file has it; empty if the job had all rows.
        now: The shard of this run; None if it has all rows.
        output: What the message names.

    Raises:
        JobError: It is not.
    """
    after = str(now or "")
    if before == after:
        return
    if not before:
        raise JobError(
            f"{output} was begun without --shard, but this run is shard {after}; choose another "
            f"output, or resume without --shard"
        )
    way_out = (
        f"resume with --shard {before}, or choose another output"
        if now is None
        else "each shard needs its own output"
    )
    this = "has no --shard" if now is None else f"is shard {after}"
    raise JobError(f"{output} was begun by shard {before}, but this run {this}; {way_out}")
