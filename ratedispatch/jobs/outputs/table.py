"""
Writes tables of answers to files, whatever the format.

A file is replaced as a whole, or stays as it was.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.formats import PACKED
from ratedispatch.jobs.state.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ratedispatch.jobs.outputs.answer import Answer
    from ratedispatch.jobs.outputs.index import RowOf
    from ratedispatch.jobs.outputs.output_row import Row


class OutputFormat(StrEnum):
    """How an output is written."""

    JSONL = "jsonl"
    """The lines of results themselves, as they come; no table."""
    CSV = "csv"
    PARQUET = "parquet"


_SUFFIXES = {
    ".csv": OutputFormat.CSV,
    ".parquet": OutputFormat.PARQUET,
    ".pq": OutputFormat.PARQUET,
}

#: Tables that are not written, and whose names do not mean JSONL.
_OTHER_TABLES = frozenset({".tsv", ".tab", ".xlsx", ".xls", ".ods"})


def output_format_of(path: Path, name: str | None = None) -> OutputFormat:
    """
    Return the format of the output *path*: *name* if given, else what its suffix says.

    Every suffix that means nothing here is JSONL.

    Raises:
        JobError: *name* is no format, or the suffix is that of a table which is not written.
    """
    if name is not None:
        try:
            return OutputFormat(name.lower())
        except ValueError as error:
            known = ", ".join(OutputFormat)
            raise JobError(f"the output format {name!r:.40} is not one of {known}") from error
    suffixes = [suffix.lower() for suffix in path.suffixes]
    last = suffixes[-1] if suffixes else ""
    is_packed_table = last in PACKED and len(suffixes) > 1 and suffixes[-2] in _SUFFIXES
    if last in _OTHER_TABLES or is_packed_table:
        raise JobError(
            f"the output {path} ends in {suffixes[-2] if is_packed_table else ''}{last}, which "
            f"cannot be written; use .csv, .parquet or .jsonl"
        )
    return _SUFFIXES.get(last, OutputFormat.JSONL)


def check_format(format: OutputFormat) -> None:  # noqa: A002
    """
    Check that *format* can be written, before anything is paid for.

    Raises:
        JobError: It takes a library that is not installed; says how to install it.
    """
    if format is OutputFormat.PARQUET:
        from ratedispatch.jobs.outputs.parquet_table import check_parquet

        check_parquet()


def write_table(
    target: Path,
    format: OutputFormat,  # noqa: A002
    *,
    columns: Sequence[str],
    rows: Callable[[], Iterator[Row]],
    results: Sequence[Path],
    row_of: RowOf,
    parquet_source: Path | None = None,
    id_column: str | None = None,
) -> int:
    """
    Make *target* the table of *rows* and what happened to them; return how many rows it has.

    Rows without a result are left out. The table is written beside *target*, down to the disk,
    and takes its place in one step; if anything fails, *target* is what it was, and nothing else
    is left behind.

    Args:
        target: The file; what it holds is replaced. A link stays one, to the new table.
        format: CSV or Parquet.
        columns: The columns of the input, each once; none if the input is not a table.
        rows: Gives the number of each row of the input, from 1 and rising, with its cells (JSON
            values) and its ``custom_id``. Asked for once, for Parquet twice; each time the same.
        results: Files of lines in Batch output format. If a row has several lines, the last one
            of the last file counts. A file that does not exist has none.
        row_of: Tells the number of its row from the first 128 bytes of a line.
        parquet_source: The input, if it is a Parquet file and the table is to be one: its types
            and values are kept, and cells of *rows* are not examined, so they may be empty.
        id_column: The column that ``custom_id`` comes from, which is then not repeated.

    Raises:
        JobError: The table cannot be written, its sources are not what they were, *target* is
            one of them or no file, or pyarrow is missing.
        ValueError: *format* is JSONL, which is not a table.
    """
    if format is OutputFormat.JSONL:
        raise ValueError("JSONL is not a table; the results are already JSONL")
    # imported here, because most jobs make no table
    from ratedispatch.jobs.outputs.answer import read_answer
    from ratedispatch.jobs.outputs.columns import columns_of
    from ratedispatch.jobs.outputs.csv_table import write_csv
    from ratedispatch.jobs.outputs.index import ResultIndex
    from ratedispatch.jobs.outputs.parquet_table import write_parquet, write_parquet_like

    # where a link leads: to replace the link would leave the file that it stands for as it was
    target = target.resolve()
    _check(target, [*results, *([parquet_source] if parquet_source else [])])
    table = columns_of(columns, id_column)
    try:
        with ResultIndex(results, row_of, target.parent) as index, replacing(target) as file:

            def answer_of(row: int) -> Answer | None:
                line = index.line(row)
                return None if line is None else read_answer(line)

            if format is OutputFormat.CSV:
                return write_csv(file, table, rows(), answer_of)
            if parquet_source is not None:
                return write_parquet_like(file, parquet_source, table, rows(), answer_of)
            return write_parquet(file, table, rows, answer_of)
    except OSError as error:
        raise JobError(
            f"the table {target} cannot be written: {error.strerror or error}; all results are in "
            f"{' and '.join(str(path) for path in results)}; run the same command again when "
            f"this is fixed"
        ) from error


def _check(target: Path, sources: Sequence[Path]) -> None:
    if target.exists() and not target.is_file():
        raise JobError(f"the output {target} is not a file, so a table cannot replace it")
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise JobError(f"the table {target} would overwrite {source}, from which it is made")
