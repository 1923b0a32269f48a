"""Writes the row groups of a Parquet file, and bounds the rows that wait in memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from ratedispatch.jobs.inputs.extras import load

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Rows and bytes of a row group, all of which wait in memory. Small for Parquet: what reads one
#: column of a table of short answers would be a little faster with larger groups.
GROUP_ROWS = 16_384
GROUP_BYTES = 16 * 1024 * 1024


class Groups:
    """
    Collects batches and writes them as row groups.

    Args:
        writer: A writer of pyarrow.
        schema: The schema of the batches.
    """

    def __init__(self, writer: Any, schema: Any) -> None:
        self.rows = 0
        self.schema = schema
        self._arrow: Any = load("pyarrow", "writing Parquet")
        self._writer = writer
        self._waiting: list[Any] = []
        self._rows_waiting = 0
        self._bytes_waiting = 0

    def append(self, arrays: list[Any]) -> None:
        """Take a batch: an array for each column, all of the same length."""
        batch = self._arrow.record_batch(arrays, schema=self.schema)
        self._waiting.append(batch)
        self._rows_waiting += batch.num_rows
        self._bytes_waiting += batch.nbytes
        if self._rows_waiting >= GROUP_ROWS or self._bytes_waiting >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits, as one row group."""
        if self._waiting:
            table = self._arrow.Table.from_batches(self._waiting, schema=self.schema)
            self._writer.write_table(table, row_group_size=self._rows_waiting)
            self.rows += self._rows_waiting
        self._waiting, self._rows_waiting, self._bytes_waiting = [], 0, 0


@contextmanager
def open_groups(file: BinaryIO, schema: Any) -> Iterator[Groups]:
    """Begin a Parquet file in *file*; what waits is written, and the file ended, on leaving."""
    parquet: Any = load("pyarrow.parquet", "writing Parquet")
    with parquet.ParquetWriter(file, schema) as writer:
        groups = Groups(writer, schema)
        yield groups
        groups.flush()
