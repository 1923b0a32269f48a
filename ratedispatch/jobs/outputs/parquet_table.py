"""
Writes a table of answers as Parquet.

Columns of an input that is Parquet itself keep their types and values; the types of other columns
are found in their values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.extras import load
from ratedispatch.jobs.outputs.cell_text import well_formed
from ratedispatch.jobs.outputs.kinds import Kind, kinds_of
from ratedispatch.jobs.outputs.parquet_groups import open_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ratedispatch.jobs.outputs.answer import Answer
    from ratedispatch.jobs.outputs.columns import Columns
    from ratedispatch.jobs.outputs.output_row import AnswerOf, Row

#: Rows that are made into Arrow at a time, and characters of text that are enough before.
_BATCH = 256
_BATCH_CHARACTERS = 4 * 1024 * 1024

_NUMBERS = frozenset({"status_code", "prompt_tokens", "output_tokens"})


def check_parquet() -> None:
    """
    Check that Parquet can be written.

    Raises:
        JobError: pyarrow is not installed; the sentence has the command that installs it.
    """
    load("pyarrow.parquet", "writing Parquet")


def write_parquet(
    file: BinaryIO, columns: Columns, rows: Callable[[], Iterator[Row]], answer_of: AnswerOf
) -> int:
    """
    Write to *file* those of *rows* that have an answer, in their order; return how many.

    All rows are gone through twice: to find the types of their columns, also by those without an
    answer, so that a table made later has the same types; and to write them.

    Args:
        file: Where the bytes go.
        columns: The columns of the table.
        rows: Gives the rows of the input, the same each time.
        answer_of: The outcome of a row.

    Raises:
        JobError: pyarrow is not installed, or *rows* are not the same the second time.
    """
    arrow: Any = load("pyarrow", "writing Parquet")
    types = {
        Kind.BOOLEAN: arrow.bool_(),
        Kind.INTEGER: arrow.int64(),
        Kind.NUMBER: arrow.float64(),
    }
    kinds = kinds_of(columns.inputs, (cells for _, cells, _ in rows()))
    inputs = list(zip(columns.inputs, kinds, strict=True))
    fields = [(well_formed(name), types.get(kind, arrow.string())) for name, kind in inputs]
    schema = arrow.schema(fields + _own_fields(arrow, columns))
    with open_groups(file, schema) as groups:
        for batch in _batches(columns, inputs, rows(), answer_of):
            groups.append(_arrays(arrow, batch, schema))
    return groups.rows


def write_parquet_like(
    file: BinaryIO, source: Path, columns: Columns, rows: Iterator[Row], answer_of: AnswerOf
) -> int:
    """
    Write to *file* those of *rows* that have an answer, with the cells of the file *source*.

    As :func:`write_parquet`, but the columns of the input are those of the Parquet file *source*,
    with its types and values; row 1 is its first one. The cells of *rows* are not examined.

    Raises:
        JobError: pyarrow is not installed; *source* cannot be read, or is not the file that
            *columns* and *rows* come from.
        ValueError: The numbers of *rows* do not rise.
    """
    arrow: Any = load("pyarrow", f"reading {source}")
    parquet: Any = load("pyarrow.parquet", f"reading {source}")
    try:
        # no memory map: a file that is cut while it is read would end the process
        opened = parquet.ParquetFile(source, memory_map=False, pre_buffer=False)
    except (OSError, arrow.ArrowException) as error:
        raise JobError(f"the input {source} cannot be read as Parquet: {_reason(error)}") from error
    with opened:
        schema = opened.schema_arrow
        if tuple(schema.names) != columns.inputs:
            raise JobError(
                f"the input {source} has {len(schema.names)} columns that are not the "
                f"{len(columns.inputs)} it had before; restore the original file"
            )
        own = arrow.schema(_own_fields(arrow, columns))
        for field in own:
            schema = schema.append(field)
        with open_groups(file, schema) as groups:
            for batch, cells in _joined(arrow, opened, source, columns, rows, answer_of):
                groups.append([*batch.columns, *_arrays(arrow, cells, own)])
    return groups.rows


def _joined(
    arrow: Any,
    opened: Any,
    source: Path,
    columns: Columns,
    rows: Iterator[Row],
    answer_of: AnswerOf,
) -> Iterator[tuple[Any, list[list[object]]]]:
    """
    Yield the rows of *opened* that are in *rows* and have an answer, with their own cells.

    These have the shape (rows of the batch, own columns). No batch is empty.
    """
    number = last = 0
    ahead = next(rows, None)
    for batch in _read(arrow, opened, source):
        mask = [False] * batch.num_rows
        wanted: list[list[object]] = []
        while ahead is not None and ahead[0] <= number + batch.num_rows:
            if ahead[0] <= last:
                raise ValueError(f"row {ahead[0]} comes after row {last}, but rows must rise")
            last = ahead[0]
            answer = answer_of(ahead[0])
            if answer is not None:
                mask[ahead[0] - number - 1] = True
                wanted.append(_own_cells(columns, ahead[2], answer))
            ahead = next(rows, None)
        number += batch.num_rows
        if len(wanted) == batch.num_rows:
            yield batch, wanted
        elif wanted:
            yield batch.filter(arrow.array(mask, arrow.bool_())), wanted
    if ahead is not None:
        raise JobError(
            f"the input {source} has {number:,} rows, but had a row {ahead[0]:,} before; "
            f"restore the original file"
        )


def _read(arrow: Any, opened: Any, source: Path) -> Iterator[Any]:
    """Yield the rows of *opened* in batches, none of them empty."""
    batches = opened.iter_batches(batch_size=_BATCH, use_threads=False)
    number = 0
    while True:
        try:
            batch = next(batches, None)
        except (OSError, arrow.ArrowException) as error:
            raise JobError(
                f"the input {source} cannot be read beyond row {number:,} of "
                f"{opened.metadata.num_rows:,}: {_reason(error)}"
            ) from error
        if batch is None:
            return
        number += batch.num_rows
        if batch.num_rows:
            yield batch


def _batches(
    columns: Columns,
    inputs: Sequence[tuple[str, Kind]],
    rows: Iterator[Row],
    answer_of: AnswerOf,
) -> Iterator[list[list[object]]]:
    """Yield the cells of the rows that have an answer, some at a time; shape (rows, columns)."""
    batch: list[list[object]] = []
    characters = 0
    for number, cells, custom_id in rows:
        answer = answer_of(number)
        if answer is None:
            continue
        row = [kind.cell(cells.get(name)) for name, kind in inputs]
        row += _own_cells(columns, custom_id, answer)
        characters += sum(len(cell) for cell in row if isinstance(cell, str))
        batch.append(row)
        if len(batch) >= _BATCH or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _own_cells(columns: Columns, custom_id: str | None, answer: Answer) -> list[object]:
    return [
        well_formed(cell) if isinstance(cell, str) else cell
        for cell in columns.own_cells(custom_id, answer)
    ]


def _own_fields(arrow: Any, columns: Columns) -> list[Any]:
    return [
        arrow.field(name, arrow.int64() if own in _NUMBERS else arrow.string())
        for own, name in columns.own
    ]


def _arrays(arrow: Any, cells: list[list[object]], schema: Any) -> list[Any]:
    """Return an array for each field of *schema*; *cells* have the shape (rows, fields)."""
    try:
        return [
            arrow.array(values, field.type)
            for values, field in zip(zip(*cells, strict=True), schema, strict=True)
        ]
    except (TypeError, ValueError, OverflowError) as error:
        raise JobError(
            f"the input was changed while a table was made of it: {_reason(error)}; "
            f"restore the original file"
        ) from error


def _reason(error: Exception) -> str:
    """Return what *error* says, on one line that is not too long."""
    return f"{' '.join(str(error).split()):.200}"
