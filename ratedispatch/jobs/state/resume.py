"""
Whether a job may start, is new, or goes on; and which of its rows are done.

Decides by the job file, which says what an output was made from, and by the result files
themselves, which say what is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.state.files import sync_folder
from ratedispatch.jobs.state.journal import open_journal
from ratedispatch.jobs.state.paths import refuse_foreign, refuse_shared
from ratedispatch.jobs.state.realign import match, rewrite, rewritten
from ratedispatch.jobs.state.results import recover
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.verify import check_results

if TYPE_CHECKING:
    from ratedispatch.jobs.state.journal import Journal
    from ratedispatch.jobs.state.manifest import Manifest
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.jobs.state.scan import Survey


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
class Going:
    """
    How a job goes on.

    Args:
        retry_failed: Whether rows that failed are done once more.
        force: Whether it goes on although it was made from something else.
        by_place: Whether a row at another place of a changed input is another row.
    """

    retry_failed: bool = False
    force: bool = False
    by_place: bool = False


def open_job(
    files: JobFiles,
    manifest: Manifest,
    file: BinaryIO,
    survey: Survey,
    going: Going = Going(),
    journal: Journal | None = None,
) -> OpenJob:
    """
    Register the job, or find out what is done of it.

    Until the journal of the result is closed, no other process can open the same job.

    Args:
        files: Those that :func:`check_files` found right.
        manifest: What the job is made from now.
        file: The input; not buffered.
        survey: What there is in it.
        going: How it goes on.
        journal: Of the job, if it is open already; closed if the job is refused.

    Raises:
        JobError: Another process works on it, it was made from something else, or a file is
            damaged; the sentence says what to do.
    """
    was_there = journal is not None or files.job.exists()
    journal = journal or open_journal(files.job)
    is_new = journal.manifest is None
    try:
        if is_new:
            refuse_foreign(files)
            refuse_shared(files)
            journal.write_manifest(manifest)
            return OpenJob(Progress(RowSet(), RowSet()), journal)
        return _go_on(files, journal, manifest, file, survey, going)
    except BaseException as error:
        if is_new and not was_there:
            files.job.unlink(missing_ok=True)
        journal.close()
        if isinstance(error, OSError):
            raise JobError(
                f"the files of {files.job.with_suffix('')} cannot be read: {error.strerror}"
            ) from error
        raise


def _go_on(
    files: JobFiles,
    journal: Journal,
    manifest: Manifest,
    file: BinaryIO,
    survey: Survey,
    going: Going,
) -> OpenJob:
    known = journal.manifest
    assert known is not None
    if known.output_format != manifest.output_format:
        raise JobError(
            f"{files.job.with_suffix('')} was begun with --output-format {known.output_format}, "
            f"and cannot go on as {manifest.output_format}; choose another output"
        )
    if known.is_rewriting and known.errors != manifest.errors:
        raise JobError(
            f"{files.job.with_suffix('')} was interrupted while it was made to fit a changed "
            f"input; give the same command again, with --errors {known.errors}"
        )
    if known.is_rewriting:
        known = replace(known, is_rewriting=False)
        _finish_rewriting(files, journal, known)
    progress, notes = _recover(files)
    differences = known.differences(manifest)
    is_same_input = known.has_input_of(manifest)
    if not going.force and (differences or not is_same_input):
        raise JobError(_refusal(files, known, manifest, differences, file, survey, going))
    is_fit = is_same_input and _is_fit(files, file, survey, going)
    doubtful = RowSet()  # failed, but an attempt may have been billed
    doubtful.merge(journal.open_rows)
    doubtful.merge(journal.doubtful)
    doubtful.keep(progress.failed)
    journal.end_all(progress.done)
    if not files.output.exists() and len(journal.open_rows) and not going.force:
        raise JobError(
            f"{files.output} is missing, in which up to {len(journal.open_rows):,} rows may have "
            f"their answers; put it back, or send them again with --force"
        )
    for path in (files.output, files.errors):
        rewritten(path).unlink(missing_ok=True)  # of a kill before they were all there
    doubt = len(journal.open_rows)
    if not is_fit:
        doubtful = RowSet()  # rows may have other numbers now
        notes.append(_move(files, journal, manifest, file, survey, going))
        progress, _ = _recover(files)
    elif differences:
        journal.write_manifest(manifest)
    progress, more = _retry(files, progress, going, journal, doubtful)
    if doubt:
        more.append(
            f"{_rows(doubt, 'that may have been billed')} sent again: they left in an "
            f"earlier run and have no line in the files"
        )
    return OpenJob(progress, journal, (*notes, *more))


def _is_fit(files: JobFiles, file: BinaryIO, survey: Survey, going: Going) -> bool:
    """Whether the results are those of this input; if not, and that is not forced, refuse."""
    try:
        for path in (files.output, files.errors):
            check_results(path, file, survey)
    except JobError:
        if not going.force:
            raise
        return False
    return True


def _recover(files: JobFiles) -> tuple[Progress, list[str]]:
    """Return what the result files hold, and sentences on what was cut off."""
    notes = []
    found = []
    for path in (files.output, files.errors):
        recovered = recover(path)
        found.append(recovered.rows)
        if recovered.damaged is not None:
            notes.append(
                f"{path} was damaged, as by a power cut, and is whole only up to there; what "
                f"stood behind is kept in {recovered.damaged}, and its rows are sent again"
            )
    return Progress(*found), notes


def _move(
    files: JobFiles,
    journal: Journal,
    manifest: Manifest,
    file: BinaryIO,
    survey: Survey,
    going: Going,
) -> str:
    """
    Make the results fit an input that has changed; return a sentence on that.

    All new files are written before the manifest says so, and only then put in their place: after
    a kill in between either nothing has happened, or the next start finishes it.
    """
    found = match((files.output, files.errors), file, survey, by_place=going.by_place)
    for path in (files.output, files.errors):
        rewrite(path, files.stale, found.places)
    if files.retry.exists():  # its rows have other numbers now, and are to be sent anyway
        rewrite(files.retry, files.stale, {})
        rewritten(files.retry).unlink()
        files.retry.unlink()
    journal.count_open_rows_as_billed_twice()
    journal.write_manifest(replace(manifest, is_rewriting=True))
    _finish_rewriting(files, journal, manifest)
    text = f"of the results, {found.kept:,} are of rows that are in the input still"
    if found.gone:
        text += f", and {found.gone:,} are not, and were moved to {files.stale}"
    return text


def _finish_rewriting(files: JobFiles, journal: Journal, manifest: Manifest) -> None:
    for path in (files.output, files.errors):
        fresh = rewritten(path)
        if fresh.exists():
            fresh.replace(path)
            sync_folder(path)
    journal.write_manifest(manifest)


def _retry(
    files: JobFiles, progress: Progress, going: Going, journal: Journal, doubtful: RowSet
) -> tuple[Progress, list[str]]:
    """
    Take the rows that failed out of those that are done, if that is asked for.

    Their lines are kept until all of them have new ones. As long as some have not, asking for it
    again goes on with these, so that under a cap the same rows are not tried over and over.
    """
    done = progress.done
    left = sum(row not in done for row in recover(files.retry).rows)
    if left:
        return progress, [f"{_rows(left, 'that failed')} still to be sent once more"]
    if not going.retry_failed or not len(progress.failed):
        files.retry.unlink(missing_ok=True)
        return progress, []
    journal.doubt(doubtful)  # before they lose their lines, which say that they came back
    files.errors.replace(files.retry)
    note = f"{_rows(len(progress.failed), 'that failed')} sent once more"
    return Progress(progress.answered, RowSet()), [note]


def _rows(count: int, which: str) -> str:
    return f"1 row {which} is" if count == 1 else f"{count:,} rows {which} are"


def _refusal(
    files: JobFiles,
    known: Manifest,
    manifest: Manifest,
    differences: list[str],
    file: BinaryIO,
    survey: Survey,
    going: Going,
) -> str:
    words = list(differences)
    if not known.has_input_of(manifest):
        found = match((files.output, files.errors), file, survey, by_place=going.by_place)
        text = (
            f"it was made from {known.input} of {known.rows:,} rows and {known.size:,} bytes, and "
            f"{manifest.input} with {manifest.rows:,} rows and {manifest.size:,} bytes has other "
            f"content"
        )
        if found.kept + found.gone:
            text += f" (of {found.kept + found.gone:,} rows done, {found.kept:,} are the same"
            text += f"; the first that is not is row {found.first:,})" if found.first else ")"
        words.insert(0, text)
    return (
        f"{files.job.with_suffix('')} belongs to another job: {'; '.join(words)}; choose another "
        f"output, or go on with --force"
    )
