"""
Starts or resumes a job: decides whether it may, and finds out which of its rows are done.

The job file says what an output was made from; the result files themselves say what is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.shard import others_of
from ratedispatch.jobs.state.files import sync_folder
from ratedispatch.jobs.state.journal import open_journal
from ratedispatch.jobs.state.origin import going_on
from ratedispatch.jobs.state.paths import refuse_foreign, refuse_shared
from ratedispatch.jobs.state.realign import match, rewrite, rewritten
from ratedispatch.jobs.state.results import recover
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.verify import check_results

if TYPE_CHECKING:
    from ratedispatch.jobs.state.journal import Journal
    from ratedispatch.jobs.state.manifest import Manifest
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.jobs.state.realign import Match
    from ratedispatch.jobs.state.scan import Scan


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows that an earlier run of the job has done."""

    answered: RowSet
    failed: RowSet

    def __contains__(self, row: int) -> bool:
        return row in self.answered or row in self.failed

    @property
    def done(self) -> RowSet:
        """All of them, in a set of their own."""
        rows = RowSet()
        rows.merge(self.answered)
        rows.merge(self.failed)
        return rows


@dataclass(frozen=True, slots=True)
class OpenJob:
    """
    A job that this process works on.

    Args:
        progress: What an earlier run has done.
        journal: Keeps other processes out until it is closed.
        notes: Sentences on what was found.
    """

    progress: Progress
    journal: Journal
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """
    How a job is resumed.

    Args:
        retry_failed: Whether rows that failed are done again.
        allow_changed_input: Whether it is resumed even if the input or the template has changed.
        by_place: Whether a row at another position of a changed input is another row.
        allow_other_server: Whether it is resumed even if there are answers of another server.
    """

    retry_failed: bool = False
    allow_changed_input: bool = False
    by_place: bool = False
    allow_other_server: bool = False


def open_job(
    files: JobFiles,
    manifest: Manifest,
    file: BinaryIO,
    scan: Scan,
    options: ResumeOptions = ResumeOptions(),
    journal: Journal | None = None,
) -> OpenJob:
    """
    Register the job, or find out what is done of it.

    Until the journal of the result is closed, no other process can open the same job.

    Args:
        files: Those that :func:`check_files` found right.
        manifest: What the job is made from now.
        file: The input; not buffered.
        scan: What there is in it.
        options: How it resumes.
        journal: The journal of the job, if it is open already; closed if the job is refused.

    Raises:
        JobError: Another process works on it, it was made from something else, or a file is
            damaged; the sentence says what to do.
    """
    was_there = journal is not None or files.job.exists()
    journal = journal or open_journal(files.job)
    before = journal.manifest
    try:
        if before is None:
            refuse_foreign(files)
            refuse_shared(files)
            journal.write_manifest(manifest)
            return OpenJob(Progress(RowSet(), RowSet()), journal)
        # what does not tell its server is taken to go to the same one
        now = replace(manifest, origin=going_on(before.origin, manifest.origin))
        return _Resumption(files, journal, before, now, file, scan, options).resume()
    except BaseException as error:
        if before is None and not was_there:
            files.job.unlink(missing_ok=True)
        journal.close()
        if isinstance(error, OSError):
            raise JobError(
                f"the files of {files.job.with_suffix('')} cannot be read: {error.strerror}"
            ) from error
        raise


@dataclass(frozen=True, slots=True)
class _Resumption:
    """
    Resumes a job whose manifest is there.

    Args:
        files: The files of the job.
        journal: The journal of the job.
        before: What the job was made from.
        now: What it is made from now.
        file: The input; not buffered.
        scan: What was found in it.
        options: How the job is resumed.
    """

    files: JobFiles
    journal: Journal
    before: Manifest
    now: Manifest
    file: BinaryIO
    scan: Scan
    options: ResumeOptions

    def resume(self) -> OpenJob:
        """Check that the job may be resumed, make its files fit, and return it."""
        self._refuse_other_outputs()
        if self.before.is_rewriting:
            _finish_rewriting(self.files, self.journal, replace(self.before, is_rewriting=False))
        progress, notes = _recover(self.files)
        self._refuse_other_server(progress)
        differences = self.before.differences(self.now)
        is_same_input = self.before.has_input_of(self.now)
        if not self.options.allow_changed_input and (differences or not is_same_input):
            raise JobError(self._refusal(differences, is_same_input))
        is_fit = is_same_input and self._is_fit()
        doubtful = self._end_written_rows(progress)
        for path in (self.files.output, self.files.errors):
            rewritten(path).unlink(missing_ok=True)  # of a kill before they were all there
        doubt = len(self.journal.open_rows)
        if not is_fit:
            doubtful = RowSet()  # rows may have other numbers now
            notes.append(self._realign())
            progress, _ = _recover(self.files)
        elif differences or self.before.origin != self.now.origin:
            self.journal.write_manifest(self.now)
        progress, more = _retry(self.files, progress, self.options, self.journal, doubtful)
        if doubt:
            more.append(
                f"{_rows(doubt, 'that may have been billed')} sent again: an earlier run sent "
                f"{'it' if doubt == 1 else 'them'}, but the files have no result"
            )
        return OpenJob(progress, self.journal, (*notes, *more))

    def _refuse_other_outputs(self) -> None:
        """Refuse another output format, and other files where a rewrite was interrupted."""
        before, now, job = self.before, self.now, self.files.job.with_suffix("")
        if before.output_format != now.output_format:
            raise JobError(
                f"{job} was begun with --output-format {before.output_format}, and cannot be "
                f"resumed as {now.output_format}; choose another output"
            )
        if before.is_rewriting and before.errors != now.errors:
            raise JobError(
                f"{job} was interrupted while it was adapted to a changed input; run the same "
                f"command again, with --errors-file {before.errors}"
            )

    def _refuse_other_server(self, progress: Progress) -> None:
        """Refuse to put answers of another server beside those that there are."""
        before, now, count = self.before.origin, self.now.origin, len(progress.answered)
        if before in {"", now} or not count or self.options.allow_other_server:
            return
        rows = "1 answer" if count == 1 else f"{count:,} answers"
        raise JobError(
            f"{self.files.job.with_suffix('')} has {rows} from {before}, but this run would add "
            f"answers from {now}; choose another output, or resume with --allow-other-server"
        )

    def _is_fit(self) -> bool:
        """Whether the results are those of this input; if not, and not allowed to be, refuse."""
        try:
            for path in (self.files.output, self.files.errors):
                check_results(path, self.file, self.scan)
        except JobError:
            if not self.options.allow_changed_input:
                raise
            return False
        return True

    def _end_written_rows(self, progress: Progress) -> RowSet:
        """
        End the rows of the journal that have their lines.

        Returns:
            Rows that failed although an attempt may have been billed.

        Raises:
            JobError: The output is missing, in which rows of the journal may have their lines.
        """
        journal, output = self.journal, self.files.output
        doubtful = RowSet()
        doubtful.merge(journal.open_rows)
        doubtful.merge(journal.doubtful)
        doubtful.keep(progress.failed)
        journal.end_all(progress.done)
        count = len(journal.open_rows)
        if count and not output.exists() and not self.options.allow_changed_input:
            raise JobError(
                f"{output} is missing; it may hold the answers of up to {count:,} rows; restore "
                f"it, or send these rows again with --allow-changed-input"
            )
        return doubtful

    def _realign(self) -> str:
        """
        Make the results fit an input that has changed; return a sentence on that.

        All new files are written before the manifest says so, and only then put in their place:
        after a kill in between either nothing has happened, or the next start finishes it.
        """
        files, journal = self.files, self.journal
        found = self._match()
        for path in (files.output, files.errors):
            rewrite(path, files.stale, found.places)
        if files.retry.exists():  # its rows have other numbers now, and are sent anyway
            rewrite(files.retry, files.stale, {})
            rewritten(files.retry).unlink()
            files.retry.unlink()
        journal.count_open_rows_as_billed_twice()
        journal.write_manifest(replace(self.now, is_rewriting=True))
        _finish_rewriting(files, journal, self.now)
        text = f"{_results(found.kept)} kept, for rows that are still in the input"
        if found.gone:
            text += f"; {_results(found.gone)} moved to {files.stale}"
        return text

    def _match(self) -> Match:
        results, by_place = (self.files.output, self.files.errors), self.options.by_place
        others = others_of(self.now.shard, self.scan.lines)
        return match(results, self.file, self.scan, by_place=by_place, others=others)

    def _refusal(self, differences: list[str], is_same_input: bool) -> str:
        """Return the sentence that says how the job differs from the one that was begun."""
        words = list(differences)
        if not is_same_input:
            before, now, found = self.before, self.now, self._match()
            text = (
                f"it was made from {before.input} of {before.rows:,} rows and {before.size:,} "
                f"bytes, but {now.input} with {now.rows:,} rows and {now.size:,} bytes has other "
                f"content"
            )
            if found.kept + found.gone:
                text += f" (of {found.kept + found.gone:,} rows done, {found.kept:,} are unchanged"
                text += f"; row {found.first:,} is the first that changed)" if found.first else ")"
            words.insert(0, text)
        return (
            f"{self.files.job.with_suffix('')} belongs to another job: {'; '.join(words)}; choose "
            f"another output, or resume with --allow-changed-input"
        )


def _recover(files: JobFiles) -> tuple[Progress, list[str]]:
    """Return what the result files hold, and sentences on what was cut off."""
    notes = []
    found = []
    for path in (files.output, files.errors):
        recovered = recover(path)
        found.append(recovered.rows)
        if recovered.damaged is not None:
            notes.append(
                f"{path} was damaged, perhaps by a power cut, and was cut off there; the rest is "
                f"kept in {recovered.damaged}, and its rows are sent again"
            )
        if recovered.foreign:
            lines = "1 line" if recovered.foreign == 1 else f"{recovered.foreign:,} lines"
            notes.append(
                f"{path} has {lines} that another program wrote or damaged; the first is line "
                f"{recovered.first_foreign:,}; they stay there, but no row counts as done for them"
            )
    return Progress(*found), notes


def _finish_rewriting(files: JobFiles, journal: Journal, manifest: Manifest) -> None:
    for path in (files.output, files.errors):
        fresh = rewritten(path)
        if fresh.exists():
            fresh.replace(path)
            sync_folder(path)
    journal.write_manifest(manifest)


def _retry(
    files: JobFiles, progress: Progress, options: ResumeOptions, journal: Journal, doubtful: RowSet
) -> tuple[Progress, list[str]]:
    """
    Take the rows that failed out of those that are done, if that is requested.

    Their lines are kept until all of them have new ones. As long as some have not, asking for it
    again goes on with these, so that under a cap the same rows are not tried over and over.
    """
    done = progress.done
    left = sum(row not in done for row in recover(files.retry).rows)
    if left:
        return progress, [f"{_rows(left, 'that failed')} still to be sent again"]
    if not options.retry_failed or not len(progress.failed):
        files.retry.unlink(missing_ok=True)
        return progress, []
    journal.doubt(doubtful)  # before they lose their lines, which say that they came back
    files.errors.replace(files.retry)
    note = f"{_rows(len(progress.failed), 'that failed')} sent again"
    return Progress(progress.answered, RowSet()), [note]


def _results(count: int) -> str:
    return "1 result was" if count == 1 else f"{count:,} results were"


def _rows(count: int, which: str) -> str:
    return f"1 row {which} is" if count == 1 else f"{count:,} rows {which} are"
