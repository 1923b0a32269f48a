"""Opens tables in files: rows with named columns, whatever the format."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.csv_rows import csv_table
from ratedispatch.jobs.inputs.formats import PACKED, Format
from ratedispatch.jobs.inputs.json_rows import json_table
from ratedispatch.jobs.inputs.parquet_rows import open_parquet
from ratedispatch.jobs.inputs.streams import name_of, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.jobs.inputs.row import Table
    from ratedispatch.jobs.inputs.streams import Source


@contextmanager
def open_table(path: Source, format: Format) -> Iterator[Table]:  # noqa: A002
    """
    Open the table in *path* and read the names of its columns; its rows can be read within.

    Args:
        path: The file, or ``-``.
        format: How it is written.

    Raises:
        JobError: The file cannot be read, or is not what *format* says; here, or when a row is
            asked for. One row that cannot be read is a ``BrokenRow`` instead.
    """
    if format is Format.PARQUET:
        with open_parquet(_seekable(path)) as table:
            yield table
        return
    with open_bytes(path) as file:
        if format is Format.JSONL:
            table = json_table(file, name_of(path))
        else:
            table = csv_table(file, name_of(path), "\t" if format is Format.TSV else None)
        yield table


def _seekable(path: Source) -> Path:
    if not isinstance(path, Path):
        raise JobError(
            "Parquet cannot be read from standard input, because it is read from its end; "
            "give the name of a file"
        )
    if path.suffix.lower() in PACKED:
        raise JobError(
            f"the input {path} is a compressed Parquet file, but Parquet is read from its end; "
            f"unpack it first (Parquet compresses its columns itself)"
        )
    return path
