"""
Finds out which rows the results of several shards have, and which of them they should not have.

Reads each file once, by the first bytes of its lines; answers are not parsed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import head_of
from ratedispatch.jobs.merging.places import Place, Places
from ratedispatch.jobs.state.files import CHUNK
from ratedispatch.jobs.state.results import ResultReader
from ratedispatch.jobs.state.rowset import RowSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ratedispatch.jobs.merging.pieces import Piece

#: Rows that a message names, of those that are wrong in the same way.
SHOWN = 5


@dataclass(slots=True)
class Wrong:
    """
    Rows that are wrong in one way.

    Attributes:
        count: How many.
        first: Of the first few, what a message says.
    """

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Count one more, which *text* is about."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(text)

    @property
    def text(self) -> str:
        """The first few, and how many more there are."""
        more = self.count - len(self.first)
        return ", ".join(self.first) + (f" and {more:,} more" if more else "")


@dataclass(slots=True)
class Audit:
    """
    What the results of several shards hold.

    Args:
        files: All result files: for each piece its output, then its errors file.
        places: Where the line of each row is.

    Attributes:
        seen: Rows that have a line.
        answered: How many of them are answered.
        counts: How many lines each piece has.
        doubles: Rows that have two lines.
        strays: Rows that belong to another shard than that of their file.
        notes: Sentences on lines that were passed over.
    """

    files: Sequence[Path]
    places: Places
    seen: RowSet = field(default_factory=RowSet)
    answered: int = 0
    counts: list[int] = field(default_factory=list)
    doubles: Wrong = field(default_factory=Wrong)
    strays: Wrong = field(default_factory=Wrong)
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many rows have failed."""
        return len(self.seen) - self.answered

    def take_in(self, piece: Piece, number: int) -> None:
        """Read the results of *piece*, whose output is the file *number*."""
        before = len(self.seen)
        shard = piece.shard
        for file in (number, number + 1):
            path = self.files[file]
            for row, offset, digest in self._lines(path):
                if shard is not None and row not in shard:
                    self.strays.add(f"row {row:,} in {path}")
                elif self.seen.add(row):
                    self.places.put(row, Place(file, offset, digest))
                    self.answered += file == number
                else:
                    self.doubles.add(self._double(row, path))
        self.counts.append(len(self.seen) - before)

    def _double(self, row: int, path: Path) -> str:
        place = self.places.at(row)
        other = path if place is None else self.files[place.file]
        return (
            f"row {row:,} twice in {path}"
            if other == path
            else f"row {row:,} in {other} and {path}"
        )

    def _lines(self, path: Path) -> Iterator[tuple[int, int, int]]:
        """Yield the row of each whole line of *path*, where it begins, and its digest."""
        if not path.exists():
            return
        with path.open("rb", buffering=CHUNK) as file:
            reader = ResultReader(file)
            for row in reader:
                head = head_of(reader.line)
                yield row, reader.begin, int(head.digest or "0", 16) if head is not None else 0
        if reader.foreign:
            lines = "1 line" if reader.foreign == 1 else f"{reader.foreign:,} lines"
            self.notes.append(
                f"{path} has {lines} that are incomplete or not written by ratedispatch; the first "
                f"is line {reader.first_foreign:,}; they are left out"
            )
        if reader.hole is not None:
            self.notes.append(
                f"{path} is damaged from byte {reader.hole:,} on, perhaps by a power cut; the "
                f"rest is left out"
            )


def audit_of(pieces: Sequence[Piece], folder: Path) -> Audit:
    """
    Return what *pieces* hold; `Places.close` is the caller's.

    Args:
        pieces: The results of the shards.
        folder: Where a temporary file is kept.
    """
    files = [path for piece in pieces for path in (piece.output, piece.errors)]
    audit = Audit(files, Places(len(files), folder))
    try:
        for number, piece in enumerate(pieces):
            audit.take_in(piece, 2 * number)
    except BaseException:
        audit.places.close()
        raise
    return audit


def check_once(audit: Audit) -> None:
    """
    Check that no row is there twice, and none in the file of another shard.

    Raises:
        JobError: One is.
    """
    words = []
    if audit.doubles.count:
        rows = "1 row is" if audit.doubles.count == 1 else f"{audit.doubles.count:,} rows are"
        words.append(f"{rows} there more than once: {audit.doubles.text}")
    if audit.strays.count:
        rows = "1 row belongs" if audit.strays.count == 1 else f"{audit.strays.count:,} rows belong"
        words.append(f"{rows} to another shard: {audit.strays.text}")
    if words:
        raise JobError(
            f"{'; '.join(words)}; give the output of each shard once, as run wrote it; nothing was "
            f"written"
        )
