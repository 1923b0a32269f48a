"""
Counts the rows of a long file on several cores.

The file is cut into pieces of lines, which processes count by turns; a piece whose process has
died is counted by this one. On Linux only: the processes are forked, so that they share the
vocabulary, and each opens the text again, which takes ``/proc``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from array import array
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.errors import RateDispatchError
from ratedispatch.jobs.plan.findings import MOST_FINDINGS, MOST_GROUPS, OTHERS
from ratedispatch.jobs.workload.counted import Counted, Counting
from ratedispatch.simulate.forecast.workload import Kind, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from multiprocessing.connection import Connection
    from typing import BinaryIO

    from ratedispatch.jobs.plan.model import Finding
    from ratedispatch.jobs.workload.row_reading import OpenRows
    from ratedispatch.tokens import Counter

#: Rows below which a process is not worth its start.
FEWEST_ROWS = 20_000

#: Lines that this process counts first, so that the others find the vocabulary made.
_FIRST = 500

#: Lines of a piece: few enough for a progress that moves, and for all to end together.
_PIECE = 10_000

#: Processes beyond which the reading of results takes longer than the counting.
_MOST_PROCESSES = 8

_Warning = tuple[type[Warning], str]


class Piece(NamedTuple):
    """What was counted of some lines, and the warnings that were given."""

    counted: Counted
    warned: list[_Warning]


def cores() -> int:
    """Return how many processes may count for a program that has no threads of its own."""
    if sys.platform != "linux" or not Path("/proc/self/fd").is_dir():
        return 1
    return min(_MOST_PROCESSES, len(os.sched_getaffinity(0)))


def count_on_cores(
    rows: OpenRows,
    counter: Counter,
    processes: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Counted:
    """
    Return what *rows* cost, counted by so many *processes*.

    Raises:
        JobError: The file cannot be read.
        OSError: Reading broke off.
    """
    size, last = rows.found.size, rows.found.lines
    cuts = [1, *range(min(_FIRST, last) + 1, last + 1, _PIECE), last + 1]
    pieces = [range(*cut) for cut in pairwise(cuts) if cut[0] < cut[1]]
    merging = _Merging()
    told: set[_Warning] = set()
    with closing(_pieces(rows, pieces, counter, processes)) as counted:
        for number, piece in enumerate(counted, 1):
            merging.add(piece.counted)
            for category, text in piece.warned:
                if (category, text) not in told:
                    told.add((category, text))
                    counter.warned.add(category)
                    warnings.warn(text, category, stacklevel=2)
            if on_progress is not None:
                on_progress(size * number // len(pieces), size)
    return merging.counted()


def _pieces(
    rows: OpenRows, pieces: Sequence[range], counter: Counter, processes: int
) -> Generator[Piece, None, None]:
    """Yield what is counted of each of *pieces*, in their order."""
    yield _count(rows, pieces[0], counter)
    rest = pieces[1:]
    context = multiprocessing.get_context("fork")
    workers, readers = [], []
    try:
        for number in range(min(processes, len(rest))):
            reader, writer = context.Pipe(duplex=False)
            readers.append(reader)
            work = rows, rest[number::processes], writer, readers
            worker = context.Process(target=_work, args=work, daemon=True)
            with warnings.catch_warnings():
                # newer Pythons warn of threads; that of a progress display holds nothing we take
                warnings.simplefilter("ignore", DeprecationWarning)
                worker.start()
            writer.close()
            workers.append(worker)
        for number, lines in enumerate(rest):
            found = _received(readers[number % processes])
            yield _count(rows, lines, counter) if found is None else found
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
        for reader in readers:
            reader.close()


def _received(reader: Connection) -> Piece | None:
    """Return what a process has counted; None if it died or could not continue."""
    try:
        found = reader.recv()
    except (EOFError, OSError):
        return None
    return found if isinstance(found, Piece) else None


def _work(
    rows: OpenRows, pieces: Sequence[range], writer: Connection, readers: Sequence[Connection]
) -> None:
    """
    Count *pieces* in a separate process; what goes wrong is found again by its parent.

    Closes *readers*, which are the parent's: a pipe that this process could read itself would not
    break when the parent is killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    for reader in readers:
        reader.close()
    counter = rows.reading.counter()
    with (
        suppress(OSError, RateDispatchError),
        Path(f"/proc/self/fd/{rows.text.file.fileno()}").open("rb", buffering=0) as file,
    ):
        for lines in pieces:
            writer.send(_count(rows, lines, counter, file))
    writer.close()


def _count(rows: OpenRows, lines: range, counter: Counter, file: BinaryIO | None = None) -> Piece:
    counting = Counting()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        rows.read([counting], counter, lines=lines, file=file)
    return Piece(counting.counted(), [(one.category, str(one.message)) for one in warned])


class _Merging:
    """Puts pieces of a file together, in their order."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._counts: dict[str, int] = {}
        self._is_whole = True
        self._rows = 0
        self._workload = Workload()
        self._lines, self._billed, self._assumed = (array("I") for _ in range(3))

    def add(self, part: Counted) -> None:
        """Take in the next piece."""
        self._rows += part.rows
        self._is_whole = self._is_whole and part.is_whole
        self._findings += part.findings[: MOST_FINDINGS - len(self._findings)]
        for code, count in (part.counts or {}).items():
            self._counts[code] = self._counts.get(code, 0) + count
        workload, theirs = self._workload, part.workload
        places = [self._place(kind) for kind in theirs.kinds]
        workload.kind.extend(array("H", map(places.__getitem__, theirs.kind)))
        for name in ("prompt", "output", "billed", "cap"):
            getattr(workload, name).extend(getattr(theirs, name))
        for mine, more in (
            (self._lines, part.lines),
            (self._billed, part.billed_outputs),
            (self._assumed, part.assumed),
        ):
            mine.extend(more)

    def counted(self) -> Counted:
        """Return all of them."""
        return Counted(
            self._workload,
            self._lines,
            self._billed,
            self._assumed,
            tuple(self._findings),
            self._counts,
            self._rows,
            self._is_whole,
        )

    def _place(self, kind: Kind) -> int:
        known = self._workload.known(kind)
        if known is None and len(self._workload.kinds) >= MOST_GROUPS:
            self._is_whole = False
            kind = Kind(kind.endpoint, OTHERS)
        return self._workload.index_of(kind)
