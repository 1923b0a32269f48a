"""
Makes the table of a finished run, where a table was asked for instead of lines.

The table is made of the result files at the end of each run, unless it is newer than they are.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.inputs.lines import LongLine
from ratedispatch.jobs.outputs.table import OutputFormat, write_table
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from ratedispatch.jobs.ending import Ending
    from ratedispatch.jobs.inputs.row import Row
    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.job_files import OpenFiles
    from ratedispatch.jobs.rowformat import RowFormat
    from ratedispatch.jobs.state.scan import Scan


class _TimeOver(Exception):
    """The run has to stop before its table is made; the former one is there still."""


def finish(
    files: OpenFiles,
    template: Template | None,
    ending: Ending,
    is_changed: bool,
    is_over: Callable[[], bool],
) -> None:
    """
    Make the table of the rows that are done; tell *ending* if it cannot be.

    Args:
        files: The files of the job, which has a table.
        template: What makes requests of the rows.
        ending: The ending of the run.
        is_changed: Whether this run has written results.
        is_over: Whether the run has to stop; asked at every row.
    """
    id_column = None if template is None else template.id_column

    def going_on(value: Any) -> Any:
        if is_over():
            raise _TimeOver
        return value

    try:
        _make(files, id_column, going_on, is_changed=is_changed)
    except _TimeOver:
        ending.is_table_left = True
    except JobError as error:
        ending.table_error = error


def _make(
    files: OpenFiles, id_column: str | None, going_on: Callable[[Any], Any], *, is_changed: bool
) -> None:
    table = files.paths.table
    assert table is not None
    results = [files.paths.errors, files.paths.output]
    if not is_changed and _is_newer(table, results):
        return
    keeps_types = (
        files.input_format is Format.PARQUET
        and files.output_format is OutputFormat.PARQUET
        # another file under the same name would put answers beside rows of others
        and files.is_same_input()
    )

    rows = functools.partial(rows_of, files.text.file, files.scan, files.format)
    write_table(
        table,
        files.output_format,
        columns=files.text.columns or (),
        rows=lambda: map(going_on, rows()),
        results=results,
        row_of=lambda head: going_on(row_of(head)),
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
