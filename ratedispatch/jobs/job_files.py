"""
Opens the files of a job.

Locks the job file, opens and scans the input, and finds out which rows are done. Sends nothing; if
the job is refused, no file is changed.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.formats import Format, format_of
from ratedispatch.jobs.inputs.row_text import open_text
from ratedispatch.jobs.inputs.shape import check_shape
from ratedispatch.jobs.outputs.table import OutputFormat, check_format, output_format_of
from ratedispatch.jobs.plan.spending import Earlier
from ratedispatch.jobs.rowformat import format_for
from ratedispatch.jobs.shard import check_shard
from ratedispatch.jobs.state.journal import open_journal
from ratedispatch.jobs.state.manifest import manifest_of
from ratedispatch.jobs.state.paths import check_files
from ratedispatch.jobs.state.resume import ResumeOptions, open_job
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.scan import scan

if TYPE_CHECKING:
    from collections.abc import Collection

    from ratedispatch.jobs.inputs.row_text import RowText
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.job_options import JobOptions
    from ratedispatch.jobs.rowformat import RowFormat
    from ratedispatch.jobs.shard import Shard
    from ratedispatch.jobs.state.journal import Journal
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.jobs.state.resume import Progress
    from ratedispatch.jobs.state.scan import Scan


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """
    The open files of a job.

    Args:
        paths: Where they are.
        input_format: How the input is written.
        output_format: How the answers are passed on.
        text: The rows of the input, one on each line.
        format: Makes requests of them.
        scan: What was found in the input.
        progress: Rows that an earlier run has done.
        journal: Keeps other processes out until the files are closed.
        notes: Sentences on what was found.
        shard: The part of the rows that the job has; None for all.
        only: The lines that this run may send; None for all.
    """

    paths: JobFiles
    input_format: Format
    output_format: OutputFormat
    text: RowText
    format: RowFormat
    scan: Scan
    progress: Progress
    journal: Journal
    notes: tuple[str, ...]
    shard: Shard | None
    only: Collection[int] | None
    _identity: tuple[int, ...]
    _stack: contextlib.ExitStack

    @property
    def resumed(self) -> int:
        """Rows that an earlier run has done."""
        return len(self.progress.answered) + len(self.progress.failed)

    @property
    def skipped(self) -> RowSet:
        """Rows that this run does not send: done, of other shards, or left for another run."""
        rows = self.progress.done
        if self.shard is not None:
            rows.merge(self.shard.others(self.scan.lines))
        if self.only is not None:
            others = RowSet.up_to(self.scan.lines)
            for line in self.only:
                others.discard(line)
            rows.merge(others)
        return rows

    def count_before(self, line: int) -> int:
        """Return how many lines above *line* belong to the job, blank ones too."""
        return line - 1 if self.shard is None else self.shard.share(line - 1)

    @property
    def earlier(self) -> Earlier:
        """What earlier runs have spent."""
        journal = self.journal
        return Earlier(journal.spent, journal.dearest, frozenset(journal.open_rows))

    def is_same_input(self) -> bool:
        """Whether the input is still the file that was opened, unchanged."""
        return _identity_of(self.paths.input) == self._identity

    def change_of_input(self) -> str | None:
        """Return a sentence if the input has another size now; ``None`` if it has not."""
        if self.text.is_copy or not isinstance(self.paths.input, Path):
            return None
        try:
            size = self.paths.input.stat().st_size
        except OSError:
            return None
        if size == self.scan.size:
            return None
        return (
            f"{self.paths.input} had {self.scan.size:,} bytes when the job began and has "
            f"{size:,} now; only the rows that it had then were processed; to process the rows "
            f"that it has now, resume with --allow-changed-input"
        )

    def close(self) -> None:
        """Close the files and let other processes in."""
        self._stack.close()


def open_files(paths: JobFiles, options: JobOptions) -> OpenFiles:
    """
    Open the files of a job.

    Args:
        paths: Input, output and errors.
        options: How the job reads, writes and resumes.

    Raises:
        JobError: A file is missing, or in the way; nothing was touched.
    """
    with contextlib.ExitStack() as stack:
        try:
            return _open(paths, options, stack)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise JobError(
                f"the job cannot start: {error.strerror or error}{where}; free some space in the "
                f"folder of the output, or choose another one"
            ) from error
    raise AssertionError("an exit stack suppresses nothing")


def _open(paths: JobFiles, options: JobOptions, stack: contextlib.ExitStack) -> OpenFiles:
    check_files(paths)
    output_format = OutputFormat.JSONL
    if paths.table is not None:
        output_format = output_format_of(paths.table, options.output_format)
    check_format(output_format)
    template = options.template
    # before the input is read: a second process is refused at once
    journal = open_journal(paths.job) if paths.job.exists() else None
    shard = options.part
    if journal is not None:
        stack.callback(journal.close)
        if journal.manifest is not None:
            check_shard(journal.manifest.shard, shard, paths.job.with_suffix(""))
    input_format = format_of(paths.input, options.input_format)
    identity = _identity_of(paths.input)
    folder = paths.output.parent
    text = stack.enter_context(
        open_text(paths.input, format=input_format, is_table=template is not None, folder=folder)
    )
    if template is None:
        check_shape(text.file, text.name, is_table=False)
    row_format = format_for(text, template, options.endpoint, options.max_tokens)
    known = None
    if journal is not None and journal.manifest is not None:
        known = journal.manifest.known_scan(template)
    found = scan(text.file, row_format.names, folder=folder, known=known, shard=shard)
    if not found.rows + found.others:
        raise JobError(f"the input {text.name} is empty")
    errors = os.path.relpath(paths.errors.absolute(), paths.job.absolute().parent)
    name = Path(text.name).name
    manifest = manifest_of(name, found, template, output_format, errors, options.origin, shard)
    resume = ResumeOptions(
        retry_failed=options.retry_failed,
        allow_changed_input=options.allow_changed_input,
        by_place=template is not None and template.id_column is None,
        allow_other_server=options.allow_other_server,
    )
    opened = open_job(paths, manifest, text.file, found, resume, journal)
    stack.callback(opened.journal.close)
    return OpenFiles(
        paths=paths,
        input_format=input_format,
        output_format=output_format,
        text=text,
        format=row_format,
        scan=found,
        progress=opened.progress,
        journal=opened.journal,
        notes=(*_note_on(shard, found, paths), *opened.notes),
        shard=shard,
        only=options.only,
        _identity=identity,
        _stack=stack.pop_all(),
    )


def _note_on(shard: Shard | None, found: Scan, paths: JobFiles) -> list[str]:
    if shard is None:
        return []
    total = found.rows + found.others
    output = paths.table or paths.output
    return [f"shard {shard} has {found.rows:,} of {total:,} rows; its answers go to {output}"]


def _identity_of(path: Source) -> tuple[int, ...]:
    """Return what tells the file at *path* from another one put in its place."""
    if isinstance(path, str):
        return ()
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
