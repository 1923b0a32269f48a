"""
Matches the results of a job with the rows of an input that has changed.

A row is known by its content (its name is part of it) and, where rows are named by their numbers,
by its place too. Results of rows that are gone are set aside, never deleted: they were paid for.

Takes some hundred bytes for each row that is done, unlike a job that resumes unchanged.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.jobs.batchfile import head_of, moved
from ratedispatch.jobs.state.files import open_appending, write_all
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.section import Section, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ratedispatch.jobs.state.scan import Scan


#: In the line of a row that failed because its name stood further up: whether it still does is
#: looked up again.
_DUPLICATE = b'"response":null,"error":{"code":"duplicate_custom_id"'


@dataclass(frozen=True, slots=True)
class Match:
    """
    The outcome of the rows that are done.

    Args:
        kept: Rows that are there still, where they were or elsewhere.
        gone: Rows that are there no more, or have another content.
        first: The place of the first of those; None if there is none.
        places: Where each row that was kept is now, by where it was.
    """

    kept: int
    gone: int
    first: int | None
    places: dict[int, int]


def match(
    results: Iterable[Path],
    file: BinaryIO,
    scan: Scan,
    *,
    by_place: bool,
    others: RowSet | None = None,
) -> Match:
    """
    Compare the rows that *results* answer with those of the input as it is now.

    Args:
        results: The result files.
        file: The input; not buffered.
        scan: What there is in it.
        by_place: Whether a row at another place is another row.
        others: Rows of the input that belong to other jobs; none by default.
    """
    wanted: dict[str, dict[int, None]] = {}  # equal rows in their order
    unknown: dict[int, None] = {}
    for path in results:
        for line in _lines(path):
            head = head_of(line)
            if head is None or _DUPLICATE in line:
                continue
            if head.digest:
                wanted.setdefault(head.digest, {})[head.row] = None
            else:
                unknown[head.row] = None
    done = sum(map(len, wanted.values())) + len(unknown)
    # what stayed where it was goes first, so that of equal rows none is moved without need
    places: dict[int, int] = {}
    for row, digest in _digests(file, scan, others):
        if row in unknown:
            places[row] = row
        elif row in wanted.get(digest, ()):
            places[row] = row
            del wanted[digest][row]
    if not by_place:
        taken = set(places.values())
        for row, digest in _digests(file, scan, others):
            if row not in taken and wanted.get(digest):
                before = next(iter(wanted[digest]))
                del wanted[digest][before]
                places[before] = row
    lost = [row for rows in wanted.values() for row in rows]
    lost += [row for row in unknown if row not in places]
    return Match(len(places), done - len(places), min(lost, default=None), places)


def rewritten(path: Path) -> Path:
    """Return the file that `rewrite` makes, to be put in place of *path*."""
    return path.with_name(path.name + ".new")


def rewrite(path: Path, aside: Path, places: dict[int, int]) -> None:
    """
    Write beside *path* its results that are in *places*, with their place now; others to *aside*.

    *path* itself is as it was: to put the new file in its place is the caller's, once all that
    belongs together is written.

    Raises:
        OSError: Something cannot be written.
    """
    fresh = rewritten(path)
    fresh.unlink(missing_ok=True)
    if not path.exists():
        return
    try:
        with contextlib.ExitStack() as stack:
            kept = stack.enter_context(fresh.open("xb"))
            gone: BinaryIO | None = None
            for line in _lines(path):
                head = head_of(line)
                place = None if head is None else places.get(head.row)
                if _DUPLICATE in line:
                    continue
                if place is not None:
                    kept.write(moved(line, place))
                    continue
                gone = gone or stack.enter_context(open_appending(aside))
                write_all(gone, line)
            for file in (kept, gone):
                if file is not None:
                    file.flush()
                    os.fsync(file.fileno())
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _digests(file: BinaryIO, scan: Scan, others: RowSet | None) -> Iterator[tuple[int, str]]:
    for row, line in Section(file, scan.checkpoints[0], scan.end, others or RowSet()):
        yield row, digest_of(line)


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of *path*; none if it is missing."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            if line.endswith(b"\n"):
                yield line
