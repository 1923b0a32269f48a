"""Makes the workload of a file for `simulate` and `tune`, counted as `plan` counts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.jobs.plan.findings import OTHERS
from ratedispatch.jobs.workload.counted import Counting
from ratedispatch.jobs.workload.counts_folder import wall_clock
from ratedispatch.jobs.workload.file_identity import identity_of
from ratedispatch.jobs.workload.row_reading import Reading, open_rows, source_of
from ratedispatch.jobs.workload.several_cores import FEWEST_ROWS, count_on_cores
from ratedispatch.tokens import MissingVocabularyWarning, UnreadValueWarning

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.jobs.workload.counts_folder import CountsFolder
    from ratedispatch.limits import Limits
    from ratedispatch.tokens import Counter

#: Seconds since an input was changed below which its time may not tell of the next change: that of
#: a clock that ticks slowly, and of file systems that keep whole seconds.
_TICK = 0.1
_COARSE_TICK = 2.0


def read_workload(
    path: str | os.PathLike[str],
    limits: Limits | LimitGroups | None = None,
    *,
    reading: Reading | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    folder: CountsFolder | None = None,
    processes: int = 1,
) -> Counted:
    """
    Return what the rows of a file cost, and those that can never be sent. Nothing is sent.

    Args:
        path: A JSONL file in OpenAI's Batch format, or a table; ``-`` for standard input.
        limits: What the account may spend; None for all rows that can be counted.
        reading: How the file is read and counted.
        on_progress: Called now and then with the bytes read so far, and those there are.
        folder: Where counts are kept; then a file that was counted before is not read again.
        processes: How many count a long file; more than this one where `cores` says so.

    Raises:
        JobError: The file is missing, empty, or cannot be read.
        OSError: Reading broke off.
    """
    reading = reading or Reading()
    recalling = Recalling(path, reading, folder)
    counted = recalling.counted()
    if counted is None:
        counter = reading.counter()
        counted = _count(path, reading, counter, processes, on_progress)
        recalling.keep(counted, counter)
    return counted if limits is None else counted.under(limits)


def _count(
    path: str | os.PathLike[str],
    reading: Reading,
    counter: Counter,
    processes: int,
    on_progress: Callable[[int, int], None] | None,
) -> Counted:
    """Count the rows of a file; on several cores where it is long, and all of it is meant."""
    with open_rows(path, reading) as rows:
        size = rows.found.size
        if processes > 1 and rows.found.rows >= FEWEST_ROWS and reading.shard is None:
            return count_on_cores(rows, counter, processes, on_progress)
        counting = Counting()
        rows.read([counting], counter, on_progress=on_progress)
    if on_progress is not None:
        on_progress(size, size)
    return counting.counted()


class Recalling:
    """
    Asks *folder* for the counts of one input, and has it keep them.

    Args:
        path: The input.
        reading: How it is read and counted.
        folder: Where counts are kept; None for nowhere.
    """

    def __init__(
        self, path: str | os.PathLike[str], reading: Reading, folder: CountsFolder | None
    ) -> None:
        source = source_of(path)
        self._path = source if isinstance(source, Path) else None
        self._reading = reading
        self._folder = folder
        self._key: bytes | None = None

    def counted(self) -> Counted | None:
        """Return what is kept, after the warnings that counting would give; None if nothing is."""
        if self._folder is None or self._path is None:
            return None
        self._key = identity_of(self._path, self._reading)
        found = None if self._key is None else self._folder.recall(self._key)
        if found is not None:
            counter = self._reading.counter()
            for kind in found.workload.kinds:
                if kind.model != OTHERS:
                    counter.check_model(kind.model, kind.endpoint)
        return found

    def keep(self, counted: Counted, counter: Counter) -> None:
        """
        Keep *counted*, if the input is still the one that was read.

        Not where *counter* lacks what it may have the next time.
        """
        if self._folder is None or self._path is None or self._key is None:
            return
        if MissingVocabularyWarning in counter.warned:
            return
        if _may_change_unseen(self._path) or identity_of(self._path, self._reading) != self._key:
            return
        if UnreadValueWarning in counter.warned:  # a plan tells of it, which counts cannot
            counted = replace(counted, is_whole=False)
        self._folder.keep(self._key, counted)


def _may_change_unseen(path: Path) -> bool:
    """Whether *path* was changed so lately that another change might leave its time as it is."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return True
    tick = _TICK if changed % 1_000_000_000 else _COARSE_TICK
    return abs(wall_clock() - changed / 1e9) < tick
