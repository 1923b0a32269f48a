"""
Makes the table of a finished run, where a table was asked for instead of lines.

The table is made of the result files at the end of each run, unless it is newer than they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.inputs.lines import LongLine
from ratedispatch.jobs.outputs.table import OutputFormat, write_table
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from ratedispatch.jobs.inputs.row import Row
    from ratedispatch.jobs.job_files import OpenFiles
    from ratedispatch.jobs.rowformat import RowFormat
    from ratedispatch.jobs.state.scan import Scan


def make_table(table: Path, files: OpenFiles, id_column: str | None, *, is_changed: bool) -> None:
    """
    Make the table of the rows that are done.

    Args:
        table: Where to; replaced as a whole.
        files: Those of the job.
        id_column: The column of the input that names its rows, if one does.
        is_changed: Whether this run has written results.

    Raises:
        JobError: The table cannot be made.
    """
    results = [files.paths.errors, files.paths.output]
    if not is_changed and _is_newer(table, results):
        return
    keeps_types = (
        files.input_format is Format.PARQUET
        and files.output_format is OutputFormat.PARQUET
        # another file under the same name would put answers beside rows of others
        and files.is_same_input()
    )
    write_table(
        table,
        files.output_format,
        columns=files.text.columns or (),
        rows=lambda: rows_of(files.text.file, files.scan, files.format),
        results=results,
        row_of=row_of,
        parquet_source=Path(files.text.name) if keeps_types else None,
        id_column=id_column,
    )


def rows_of(
    file: BinaryIO,
    scan: Scan,
    format: RowFormat,  # noqa: A002
) -> Iterator[tuple[int, Row, str | None]]:
    """Yield the number, the cells and the name of every row of the input *file*."""
    for number, line in Section(file, scan.checkpoints[0], scan.end, RowSet()):
        if isinstance(line, LongLine):
            yield number, {}, None
        else:
            yield number, *format.cells(line, number)


def _is_newer(table: Path, results: Sequence[Path]) -> bool:
    """Whether *table* was made after the last line of *results*."""
    if not table.exists():
        return False
    made = table.stat().st_mtime_ns
    return all(made > path.stat().st_mtime_ns for path in results if path.exists())
