"""
Finds the rows that the results of several shards lack, and says which shards lack them.

With the input, each row is checked. Without it, the job files are sufficient, except for the
positions of rows in an input with blank lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.merging.audit import SHOWN, Wrong
from ratedispatch.jobs.shard import Shard, shard_of
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.section import Section, digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from ratedispatch.jobs.merging.audit import Audit
    from ratedispatch.jobs.merging.pieces import Piece
    from ratedispatch.jobs.state.scan import Scan

#: Shards that a message names.
_SHOWN_SHARDS = 8


class RowsMissing(JobError):
    """Some rows have no result yet."""


@dataclass(frozen=True, slots=True)
class Gap:
    """
    Rows that one shard lacks.

    Args:
        shard: Which; empty if all rows are one job's.
        count: How many rows; None if nothing tells.
        first: The lines of the first few, as far as they are known.
        is_there: Whether there is a file of the shard.
    """

    shard: str
    count: int | None
    first: tuple[int, ...]
    is_there: bool

    @property
    def text(self) -> str:
        """What a message says."""
        name = f"shard {self.shard}" if self.shard else "the output"
        if not self.is_there:
            rows = "" if self.count is None else f" ({_rows(self.count)})"
            return f"{name} has no file{rows}"
        text = f"{name} lacks {_rows(self.count or 0)}"
        if self.first:
            lines = ", ".join(f"{line:,}" for line in self.first)
            more = (self.count or 0) > len(self.first)
            text += f" (line{'s' if (self.count or 0) > 1 else ''} {lines}{', …' if more else ''})"
        return text


def gaps_in_input(
    audit: Audit, pieces: Sequence[Piece], file: BinaryIO, scan: Scan
) -> tuple[Gap, ...]:
    """
    Compare the results with each row of the input *file*.

    Raises:
        JobError: A result is not that of its row, or of no row.
    """
    count = _count_of(pieces)
    there = {0 if piece.shard is None else piece.shard.index for piece in pieces}
    missing: dict[int, Wrong] = {}
    others, known = Wrong(), RowSet()
    for row, line in Section(file, scan.checkpoints[0], scan.end, RowSet()):
        known.add(row)
        place = audit.places.at(row)
        if place is None:
            missing.setdefault(shard_of(row, count), Wrong()).add(str(row))
        elif place.digest and place.digest != int(digest_of(line), 16):
            others.add(f"row {row:,} in {audit.files[place.file]}")
    beyond = RowSet()
    beyond.merge(audit.seen)
    beyond.remove(known)
    for row in beyond:
        place = audit.places.at(row)
        assert place is not None
        others.add(f"row {row:,} in {audit.files[place.file]}")
    if others.count:
        raise JobError(
            f"{_rows(others.count)} of the results {'is' if others.count == 1 else 'are'} not from "
            f"this input: {others.text}; give the input of the shards; nothing was written"
        )
    return tuple(
        Gap(
            "" if count == 1 else f"{index}/{count}",
            wrong.count,
            tuple(map(int, wrong.first)),
            index in there or count == 1,
        )
        for index, wrong in sorted(missing.items())
    )


def gaps_by_jobs(audit: Audit, pieces: Sequence[Piece]) -> tuple[Gap, ...]:
    """
    Compare the results with what the job files of *pieces* tell of the input.

    Raises:
        JobError: One of them has no job file.
    """
    for piece in pieces:
        if piece.manifest is None:
            raise JobError(
                f"{piece.asked} has no job file beside it ({piece.asked.name}.job), so its rows "
                f"are not known; copy the job file too, or name the input with --input"
            )
    scan = next((piece.manifest.scan for piece in pieces if piece.manifest.scan), None)  # type: ignore[union-attr]
    if scan is not None and scan.rows + scan.others == scan.lines:  # no line is blank
        return _gaps_by_lines(audit, pieces, scan.lines)
    gaps = []
    lacking = None if scan is None else scan.rows + scan.others
    for piece, have in zip(pieces, audit.counts, strict=True):
        rows = piece.manifest.rows  # type: ignore[union-attr]
        lacking = None if lacking is None else lacking - rows
        if have < rows:
            gaps.append(Gap(str(piece.shard or ""), rows - have, (), is_there=True))
    count = _count_of(pieces)
    there = {0 if piece.shard is None else piece.shard.index for piece in pieces}
    absent = [index for index in range(count) if index not in there]
    gaps += [
        Gap(f"{index}/{count}", lacking if len(absent) == 1 else None, (), is_there=False)
        for index in absent
        if lacking != 0
    ]
    return tuple(gaps)


def _gaps_by_lines(audit: Audit, pieces: Sequence[Piece], lines: int) -> tuple[Gap, ...]:
    count = _count_of(pieces)
    there = {0 if piece.shard is None else piece.shard.index for piece in pieces}
    gaps = []
    for index in range(count):
        rows = Shard(index, count).rows(lines) if count > 1 else RowSet.up_to(lines)
        rows.remove(audit.seen)
        if len(rows):
            name = "" if count == 1 else f"{index}/{count}"
            gaps.append(Gap(name, len(rows), tuple(islice(rows, SHOWN)), index in there))
    return tuple(gaps)


def missing_in(gaps: Sequence[Gap]) -> int | None:
    """Return how many rows *gaps* lack together; None if nothing tells."""
    counts = [gap.count for gap in gaps]
    return None if None in counts else sum(count or 0 for count in counts)


def lost_errors(pieces: Sequence[Piece]) -> str:
    """Return what a message says of errors files that are not where the jobs have written them."""
    lost = [piece for piece in pieces if piece.journal is not None and not piece.errors.exists()]
    if not lost:
        return ""
    more = f", and so are {len(lost) - 1:,} others" if len(lost) > 1 else ""
    return f"; {lost[0].errors}, the errors file of {lost[0].asked}, is missing{more}"


def sentence_on(gaps: Sequence[Gap], rows: int) -> str:
    """
    Return what a message says about *gaps*.

    Args:
        gaps: At least one.
        rows: That are there.
    """
    count = missing_in(gaps)
    text = "rows are missing" if count is None else _rows(count) + " " + _are(count) + " missing"
    if count is not None:
        text += f" of {count + rows:,}"
    shown = "; ".join(gap.text for gap in gaps[:_SHOWN_SHARDS])
    more = len(gaps) - _SHOWN_SHARDS
    if more > 0:
        shown += f"; and so do {more:,} more shards"
    return f"{text}: {shown}"


def _count_of(pieces: Sequence[Piece]) -> int:
    """Return how many shards there are."""
    return next((piece.shard.count for piece in pieces if piece.shard is not None), 1)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
