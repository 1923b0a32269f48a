"""
Reads the rows of a Parquet file.

Values come as Python has them, except dates, times and short floats, which come as text: Python
has no nanoseconds, and would show the 0.1 of a 32-bit float as 0.10000000149011612.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.extras import load
from ratedispatch.jobs.inputs.row import Table, check_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ratedispatch.jobs.inputs.row import BrokenRow, Row

#: Rows that are made into Python values at a time.
_BATCH = 256


@contextmanager
def open_parquet(path: Path) -> Iterator[Table]:
    """
    Open the table in the Parquet file *path*; its rows are numbered from 1.

    Raises:
        JobError: pyarrow is not installed; here or while rows are read: the file is missing,
            damaged, no Parquet file, has a column twice, or holds what pyarrow cannot read.
    """
    parquet = load("pyarrow.parquet", f"reading {path}")
    arrow = load("pyarrow", f"reading {path}")
    try:
        # no memory map: a file that is cut while it is read would end the process
        file = parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
    except FileNotFoundError as error:
        raise JobError(f"the input {path} does not exist") from error
    except (OSError, arrow.ArrowException) as error:
        reason = _reason(error)
        raise JobError(f"the input {path} cannot be read as Parquet: {reason}") from error
    with file:
        columns = check_names(file.schema_arrow.names, str(path))
        yield Table(columns, _rows(arrow, file, path))


def _rows(arrow: Any, file: Any, path: Path) -> Iterator[tuple[int, Row | BrokenRow]]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
            columns = [_values(arrow, column) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield number, dict(zip(batch.schema.names, cells, strict=True))
    except (OSError, ValueError, OverflowError, arrow.ArrowException) as error:
        raise JobError(
            f"the input {path} cannot be read beyond row {number:,} of "
            f"{file.metadata.num_rows:,}: {_reason(error)}"
        ) from error


def _values(arrow: Any, column: Any) -> list[object]:
    """Return the values of *column*; shape (rows of the batch,)."""
    types = arrow.types
    kind = column.type
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind):
        column = column.cast(arrow.string())
    elif types.is_float32(kind) or types.is_float16(kind):
        column = column.cast(arrow.float32()).cast(arrow.string())
    values: list[object] = column.to_pylist()
    return values


def _reason(error: Exception) -> str:
    """Return what *error* says, on one line that is not too long."""
    return f"{' '.join(str(error).split()):.200}"
