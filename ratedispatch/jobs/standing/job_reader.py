"""
Reads the progress of a job from its files, which another process may be writing. Changes nothing.

The marks in the journal say how many rows had lines up to which byte, so only the rest is read.
Without a matching mark, all lines are read.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import HEAD
from ratedispatch.jobs.outputs.table import OutputFormat
from ratedispatch.jobs.shard import Shard
from ratedispatch.jobs.standing.failure_counts import FailureCounts
from ratedispatch.jobs.standing.job_notes import SPAN_SECONDS, NotesReader
from ratedispatch.jobs.standing.job_standing import Pace, Standing, State
from ratedispatch.jobs.state.files import CHUNK, wall_clock
from ratedispatch.jobs.state.journal import RECORD, Journal
from ratedispatch.jobs.state.origin import FAKE
from ratedispatch.jobs.state.paths import JobFiles, default_errors_path
from ratedispatch.jobs.state.results import ResultReader
from ratedispatch.jobs.state.rowset import RowSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ratedispatch.jobs.standing.job_notes import JobNotes
    from ratedispatch.jobs.state.manifest import Manifest
    from ratedispatch.jobs.state.run_notes import Mark

#: Bytes of an errors file whose lines are examined for their reasons.
_MOST_FAILURES = 256 * CHUNK

#: Bytes of records behind the last mark that are held at once: those of many seconds.
_MOST_RECORDS = 16 * CHUNK

#: Flags of a run that make it count the cost of a trial, too.
_ASKED = ("--price-in", "--max-cost")

#: A job whose marks are younger, in seconds, runs, where the system tells of no locks.
_FRESH_SECONDS = 15.0


class _Counts(NamedTuple):
    """Rows with an answer, those that failed, and those that left and have no line."""

    answered: int
    failed: int
    in_doubt: int

    @property
    def done(self) -> int:
        return self.answered + self.failed


class JobReader:
    """
    Reads how far one job is, and later how far it has come since.

    Args:
        output: As it was given to ``run``; with a shard, as that has named it.
        clock: Seconds since 1970.
    """

    def __init__(self, output: Path, clock: Callable[[], float] = wall_clock) -> None:
        self.output = output
        self._job = output.with_name(output.name + ".job")
        self._clock = clock
        self._notes = NotesReader(self._job)
        self._failures = FailureCounts()
        self._failures_read = 0
        self._seen: deque[tuple[float, int]] = deque()

    def read(self) -> Standing:
        """
        Return how far the job is now.

        Raises:
            JobError: It has no job file, or one that cannot be read.
        """
        notes = self._notes.read()
        files = files_of(self.output, notes.manifest)
        for path in files.results:
            if path.exists() and not path.is_file():
                raise JobError(f"{path} is not a regular file, so it has no results of a job")
        is_held = _is_held(self._job)
        now = self._clock()
        if is_held is None:
            is_held = bool(notes.marks) and now - notes.marks[-1].at < _FRESH_SECONDS
        try:
            counts = self._counts(files, notes, is_held=is_held)
            self._count_failures(files.errors)
        except OSError as error:
            raise JobError(f"{error.filename} cannot be read: {error.strerror}") from error
        state = _state_of(notes, counts, is_held=is_held)
        self._seen.append((now, counts.done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - SPAN_SECONDS:
            self._seen.popleft()
        manifest = notes.manifest
        return Standing(
            output=self.output,
            shard=Shard.parse(manifest.shard) if manifest.shard else None,
            state=state,
            rows=manifest.rows,
            answered=counts.answered,
            failed=counts.failed,
            in_doubt=counts.in_doubt,
            begun=notes.begun,
            ended=notes.ended,
            last=_last_write(files),
            pace=self._pace(notes) if is_held else None,
            spent=None if _is_free(notes) else notes.spent,
            failures=self._failures.rows,
            notes=tuple(_amiss(files, counts, notes)),
            other_rows=manifest.scan.others if manifest.scan is not None else 0,
        )

    def _pace(self, notes: JobNotes) -> Pace | None:
        """Return the speed by the marks of the run; without, by what was read here."""
        seen = [(mark.at, mark.answered + mark.failed) for mark in notes.marks]
        if notes.begun is None:
            seen = list(self._seen)
        if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
            return None
        (first, before), (last, done) = seen[0], seen[-1]
        return Pace(max(0, done - before) / (last - first) * 60, last - first)

    def _counts(self, files: JobFiles, notes: JobNotes, *, is_held: bool) -> _Counts:
        mark = notes.marks[-1] if notes.marks else None
        if mark is not None and _fits(mark, files):
            more = (
                _lines_behind(files.output, mark.answers_size),
                _lines_behind(files.errors, mark.failures_size),
            )
            doubt: int | None = mark.open_rows
            if not is_held and notes.ended is None:  # a run that was killed: exactly
                doubt = self._doubt_since(mark, files, notes.behind)
            if doubt is not None:
                return _Counts(mark.answered + more[0], mark.failed + more[1], doubt)
        return self._all_counts(files)

    def _doubt_since(self, mark: Mark, files: JobFiles, behind: int) -> int | None:
        """
        Return how many rows have left and have no line, by what is younger than *mark*.

        Returns:
            None where that needs what is older: a row was sent again, came back or failed that
            had left before.
        """
        count = mark.open_rows
        open_since: dict[bytes, bool] = {}  # whether it was sent twice
        if _size_of(self._job) - behind > _MOST_RECORDS:
            return None
        with self._job.open("rb") as file:
            file.seek(behind)
            for kind, row in RECORD.findall(file.read()):
                if kind == b"s":
                    open_since[row] = False
                    count += 1
                elif row not in open_since:
                    return None
                elif kind == b"t":
                    open_since[row] = True
                elif kind == b"b" and open_since[row]:
                    open_since[row] = False
                elif kind == b"b":
                    del open_since[row]
                    count -= 1
                else:
                    return None
        if _size_of(files.errors) > mark.failures_size:
            return None
        return count - _lines_behind(files.output, mark.answers_size)

    def _all_counts(self, files: JobFiles) -> _Counts:
        """Read all lines: which rows have one, and which have left and have none."""
        answered, failed = _rows_of(files.output), _rows_of(files.errors)
        failed.remove(answered)
        with self._job.open("rb", buffering=0) as file:
            doubt = Journal(self._job, file).open_rows
        doubt.remove(answered)
        doubt.remove(failed)
        return _Counts(len(answered), len(failed), len(doubt))

    def _count_failures(self, path: Path) -> None:
        """Count the reasons on the lines that have come to the errors file."""
        size = _size_of(path)
        if size < self._failures_read:
            self._failures, self._failures_read = FailureCounts(), 0
        if self._failures_read >= min(size, _MOST_FAILURES):
            return
        with path.open("rb", buffering=CHUNK) as file:
            file.seek(self._failures_read)
            for line in file:
                if not line.endswith(b"\n") or self._failures_read >= _MOST_FAILURES:
                    break
                self._failures_read += len(line)
                if line.startswith(HEAD):
                    self._failures.add([line])


def files_of(output: Path, manifest: Manifest) -> JobFiles:
    """Return the files of the job that has *manifest*, and whose answers are wanted at *output*."""
    lines, table = output, None
    if manifest.output_format != OutputFormat.JSONL:
        lines, table = output.with_name(output.name + ".answers.jsonl"), output
    errors = default_errors_path(output)
    if manifest.errors:
        errors = output.absolute().parent / manifest.errors
    return JobFiles(Path(manifest.input), lines, errors, table)


def _is_free(notes: JobNotes) -> bool:
    """Whether the job is a trial: no money was spent, unless it was asked what it would cost."""
    words = notes.begun.command if notes.begun is not None else ()
    return notes.manifest.origin == FAKE and not any(word.startswith(_ASKED) for word in words)


def _state_of(notes: JobNotes, counts: _Counts, *, is_held: bool) -> State:
    if is_held:
        return State.RUNNING
    if counts.done >= notes.manifest.rows:
        return State.FINISHED
    if notes.begun is None:
        return State.UNKNOWN
    return State.DEAD if notes.ended is None else State.STOPPED


def _is_held(path: Path) -> bool | None:
    """
    Return whether a process works on the job; None where the system does not tell.

    The lock that is asked for is let go at once, and excludes only a process that begins in the
    very microseconds between; that one asks again for half a second.
    """
    try:
        import fcntl
    except ImportError:
        return None
    with path.open("rb", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return None
    return False


def _fits(mark: Mark, files: JobFiles) -> bool:
    """Whether the result files have what *mark* counts."""
    return (
        _size_of(files.output) >= mark.answers_size and _size_of(files.errors) >= mark.failures_size
    )


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _last_write(files: JobFiles) -> float | None:
    """Return when a line was written last."""
    times = []
    for path in (files.output, files.errors):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        if found.st_size:
            times.append(found.st_mtime)
    return max(times, default=None)


def _lines_behind(path: Path, offset: int) -> int:
    """Return how many whole lines of rows there are in *path* from *offset* on."""
    if _size_of(path) <= offset:
        return 0
    with path.open("rb", buffering=CHUNK) as file:
        file.seek(offset)
        return sum(line.startswith(HEAD) and line.endswith(b"\n") for line in file)


def _rows_of(path: Path) -> RowSet:
    rows = RowSet()
    try:
        with path.open("rb", buffering=CHUNK) as file:
            rows.update(ResultReader(file))
    except FileNotFoundError:
        pass
    return rows


def _amiss(files: JobFiles, counts: _Counts, notes: JobNotes) -> Iterator[str]:
    """Yield sentences on what a person should know."""
    had = max((mark.answered for mark in notes.marks), default=0)
    if not files.output.exists() and had:
        yield f"{files.output} is missing; it held the answers of {had:,} rows"
    elif counts.answered < had:
        lost = had - counts.answered
        yield f"{files.output} was truncated by another program: {lost:,} answers are missing"
    failed = max((mark.failed for mark in notes.marks), default=0)
    if failed and not files.errors.exists():
        yield f"{files.errors} is missing; it held the rows that failed: {failed:,}"
    if counts.done > notes.manifest.rows:
        rows = notes.manifest.rows
        yield f"the result files have {counts.done:,} lines, but the job has only {rows:,} rows"
