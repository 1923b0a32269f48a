"""
Merges the results of several shards: checks them, then writes output, errors file and job file.

The three are written beside their final names, synced to disk, and then moved into place, the job
file last: whatever happens, the files are complete, and a run does not resume from a part of them.
The result is the same as if one run had processed all rows, and is resumed in the same way.
"""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.merging.audit import audit_of, check_once
from ratedispatch.jobs.merging.gaps import (
    RowsMissing,
    gaps_by_jobs,
    gaps_in_input,
    lost_errors,
    missing_in,
    sentence_on,
)
from ratedispatch.jobs.merging.pieces import check_alike, pieces_of
from ratedispatch.jobs.merging.places import LineReader
from ratedispatch.jobs.merging.whole_input import open_whole
from ratedispatch.jobs.state.files import CHUNK, lock, replacing
from ratedispatch.jobs.state.journal import Journal
from ratedispatch.jobs.state.manifest import manifest_of
from ratedispatch.jobs.state.origin import together
from ratedispatch.jobs.state.results import ResultReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from ratedispatch.jobs.inputs.formats import Format
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.merging.audit import Audit
    from ratedispatch.jobs.merging.gaps import Gap
    from ratedispatch.jobs.merging.pieces import Piece
    from ratedispatch.jobs.merging.whole_input import WholeInput
    from ratedispatch.jobs.outputs.table import OutputFormat
    from ratedispatch.jobs.state.manifest import Manifest
    from ratedispatch.jobs.state.paths import JobFiles


class MergeOrder(StrEnum):
    """In which order the rows of several shards are put together."""

    INPUT = "input"
    """That of the input."""
    ARRIVAL = "arrival"
    """Shard after shard, each as its answers came."""


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """
    How results are put together.

    Args:
        input: What the shards were run on; None if the job files have to tell.
        input_format: How it is written; by default what its name says.
        order: In which order rows are put together.
        output_format: What is made: lines, or a table of them, which takes the input.
        allow_missing: Whether to put together what is there although rows are missing.
        allow_other_server: Whether answers of several servers may be put together.
        overwrite: Whether what is there already is replaced.
    """

    input: Source | None = None
    input_format: Format | None = None
    order: MergeOrder = MergeOrder.INPUT
    output_format: OutputFormat | None = None
    allow_missing: bool = False
    allow_other_server: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """
    What has been put together.

    Args:
        shards: Outputs that were read.
        answered: Rows that are answered.
        failed: Rows that have failed.
        gaps: Rows that are missing, by shard.
        notes: Sentences on what a person should know.
    """

    shards: int
    answered: int
    failed: int
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> int | None:
        """How many rows are missing; None if nothing tells."""
        return missing_in(self.gaps)


def merge_shards(paths: Sequence[Path], target: JobFiles, options: MergeOptions) -> Merged:
    """
    Put the results of the shards in *paths* together.

    Args:
        paths: Their outputs; errors files and others of theirs may be among them.
        target: Where the result goes; its input is not examined.
        options: How.

    Raises:
        RowsMissing: Not all rows are there; nothing was written.
        JobError: The files do not fit together, or cannot be read or written; nothing was written.
    """
    try:
        _check_target(target, overwrite=options.overwrite)
        pieces = pieces_of(paths, target)
        _check_sources(pieces, target)
        check_alike(pieces, allow_other_server=options.allow_other_server)
        with contextlib.ExitStack() as stack:
            whole = None
            if options.input is not None:
                whole = stack.enter_context(open_whole(options.input, options, pieces, target))
            audit = audit_of(pieces, target.output.parent)
            stack.callback(audit.places.close)
            check_once(audit)
            gaps = (
                gaps_by_jobs(audit, pieces)
                if whole is None
                else gaps_in_input(audit, pieces, whole.text.file, whole.scan)
            )
            if gaps and not options.allow_missing:
                raise RowsMissing(
                    f"{sentence_on(gaps, len(audit.seen))}{lost_errors(pieces)}; run these shards "
                    f"to their end, or merge what there is with --allow-missing; nothing was "
                    f"written"
                )
            journal = _journal_of(pieces, audit, target, options, whole)
            _write(audit, target, options, journal)
            if whole is not None and target.table is not None:
                whole.make_table(target, options.output_format)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise JobError(f"the shards cannot be merged: {error.strerror or error}{where}") from error
    return Merged(len(pieces), audit.answered, audit.failed, gaps, tuple(audit.notes))


def _check_target(target: JobFiles, *, overwrite: bool) -> None:
    """Refuse a place that cannot be written to, that is in use, or where something is already."""
    folder = target.output.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise JobError(f"the folder {folder} does not exist, or cannot be written to")
    for path in (*target.results, target.job):
        if path.is_symlink():
            raise JobError(f"{path} is a link, and links are not followed; remove it")
        if path.exists() and not overwrite:
            raise JobError(
                f"{path} already exists; choose another output, or replace it with --overwrite"
            )
    for path in (target.job, target.output, target.errors):
        if path.exists():
            with path.open("rb", buffering=0) as file:
                lock(file, path, is_shared=True)


def _check_sources(pieces: Sequence[Piece], target: JobFiles) -> None:
    """Refuse to replace what the result is made of, and shards that are still running."""
    written = {path.resolve() for path in (*target.results, target.job)}
    for piece in pieces:
        for path in (piece.asked, piece.output, piece.errors):
            if path.resolve() in written:
                raise JobError(
                    f"{path} is one of the files to merge and would be overwritten; choose "
                    f"another output"
                )
        for path in (piece.output, piece.errors):
            if path.exists():
                with path.open("rb", buffering=0) as file:
                    lock(file, path, is_shared=True)


def _journal_of(
    pieces: Sequence[Piece],
    audit: Audit,
    target: JobFiles,
    options: MergeOptions,
    whole: WholeInput | None,
) -> bytes:
    """Return the job file of the result: what the job files of all pieces say together."""
    journals = [piece.journal for piece in pieces if piece.journal is not None]
    errors = os.path.relpath(target.errors.absolute(), target.job.absolute().parent)
    output_format = str(options.output_format or "jsonl")
    if journals and journals[0].manifest is not None:
        found = [one.manifest.origin for one in journals if one.manifest is not None]
        manifest = replace(
            journals[0].manifest,
            shard="",
            scan=None,
            errors=errors,
            output_format=output_format,
            origin=found[0] if len(set(found)) == 1 else together(found),
        )
    else:
        assert whole is not None  # else the rows of the pieces would not be known
        name = Path(whole.text.name).name
        found_in = manifest_of(name, whole.scan, None, output_format, errors)
        manifest = replace(found_in, scan=None)  # the names of its rows were not examined
    merged = Journal(target.job, io.BytesIO())
    for journal in journals:
        journal.end_all(audit.seen)
        merged.take_in(journal)
    rows = manifest.rows if whole is None else whole.scan.rows
    if whole is None:
        rows = _rows_of([one.manifest for one in journals if one.manifest is not None])
    return merged.text(replace(manifest, rows=rows, billed_twice=merged.billed_twice))


def _rows_of(manifests: Sequence[Manifest]) -> int:
    """Return how many rows the input has, as far as the job files of its shards tell."""
    for manifest in manifests:
        if manifest.scan is not None:
            return manifest.scan.rows + manifest.scan.others
    return sum(manifest.rows for manifest in manifests)


def _write(audit: Audit, target: JobFiles, options: MergeOptions, journal: bytes) -> None:
    is_new = not options.overwrite
    with contextlib.ExitStack() as stack:
        # put in their places in the opposite order
        job = stack.enter_context(replacing(target.job, is_new=is_new, mode=0o600))
        output = stack.enter_context(replacing(target.output, is_new=is_new))
        errors = stack.enter_context(replacing(target.errors, is_new=is_new))
        job.write(journal)
        if options.order is MergeOrder.INPUT:
            _write_in_order(audit, output, errors)
        else:
            _write_as_they_came(audit, output, errors)


def _write_in_order(audit: Audit, output: BinaryIO, errors: BinaryIO) -> None:
    reader = LineReader(audit.files)
    with contextlib.closing(reader):
        for row, place in audit.places:
            line = reader.line(row, place)
            (errors if place.file % 2 else output).write(line)


def _write_as_they_came(audit: Audit, output: BinaryIO, errors: BinaryIO) -> None:
    written = 0
    for number, path in enumerate(audit.files):
        if not path.exists():
            continue
        target = errors if number % 2 else output
        with path.open("rb", buffering=CHUNK) as file:
            lines = ResultReader(file)
            for row in lines:
                place = audit.places.at(row)
                if place is not None and (place.file, place.offset) == (number, lines.begin):
                    target.write(lines.line)
                    written += 1
    if written != len(audit.seen):
        raise JobError(
            f"the results were changed while they were merged: only {written:,} of "
            f"{len(audit.seen):,} rows were still in place; merge again when no run writes to "
            f"them; nothing was written"
        )
