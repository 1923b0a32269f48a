"""
Opens the input whose shards are put together, and makes the table of their results.

The template that made requests of its rows is the one in the job files.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.final_table import rows_of
from ratedispatch.jobs.inputs.formats import Format, format_of
from ratedispatch.jobs.inputs.row_text import open_text
from ratedispatch.jobs.outputs.table import OutputFormat, write_table
from ratedispatch.jobs.rowformat import format_for
from ratedispatch.jobs.state.manifest import template_of
from ratedispatch.jobs.state.paths import check_input
from ratedispatch.jobs.state.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ratedispatch.jobs.inputs.row_text import RowText
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.merging.merger import MergeOptions
    from ratedispatch.jobs.merging.pieces import Piece
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.jobs.state.scan import Scan


@dataclass(frozen=True, slots=True)
class WholeInput:
    """
    The input of all shards.

    Args:
        text: Its rows, one on each line.
        scan: What there is in it.
        template: What made requests of its rows; None if they are requests.
        format: How it is written.
    """

    text: RowText
    scan: Scan
    template: Template | None
    format: Format

    def make_table(self, target: JobFiles, output_format: OutputFormat | None) -> None:
        """Make the table of *target* of the lines that are there."""
        assert target.table is not None
        assert output_format is not None
        is_parquet = self.format is Format.PARQUET and output_format is OutputFormat.PARQUET
        write_table(
            target.table,
            output_format,
            columns=self.text.columns or (),
            rows=lambda: rows_of(self.text.file, self.scan, format_for(self.text, self.template)),
            results=[target.errors, target.output],
            row_of=row_of,
            parquet_source=Path(self.text.name) if is_parquet else None,
            id_column=None if self.template is None else self.template.id_column,
        )


@contextmanager
def open_whole(
    source: Source, options: MergeOptions, pieces: Sequence[Piece], target: JobFiles
) -> Iterator[WholeInput]:
    """
    Open the input *source*.

    Args:
        source: The file, or ``-``.
        options: How it is written.
        pieces: The shards that were run on it.
        target: Where the result goes.

    Raises:
        JobError: It is missing, cannot be read, or is not what the shards were run on.
    """
    check_input(source)
    manifest = next((piece.manifest for piece in pieces if piece.manifest is not None), None)
    template = None if manifest is None else template_of(manifest.template)
    format = options.input_format or format_of(source)  # noqa: A001
    if manifest is None and format is not Format.JSONL:
        raise JobError(
            f"{pieces[0].asked} has no job file beside it ({pieces[0].asked.name}.job), which "
            f"holds the template of the rows; copy the job file too"
        )
    folder = target.output.parent
    with open_text(source, format=format, is_table=template is not None, folder=folder) as text:
        found = scan(text.file)
        if not found.rows:
            raise JobError(f"the input {text.name} is empty")
        if manifest is not None and (found.size, found.digest) != (manifest.size, manifest.sha256):
            raise JobError(
                f"the input {text.name} of {found.size:,} bytes is not what {pieces[0].asked} was "
                f"made from: {manifest.input} of {manifest.size:,} bytes"
                f"{' with other content' if found.size == manifest.size else ''}; give that file"
            )
        yield WholeInput(text, found, template, format)
