"""
The columns of a batch: rows to make requests of, and answers beside them.

Knows Arrow tables, and neither Ray nor requests. Only the columns that a request needs are turned
into Python values; all others pass through as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.errors import JobError
from ratedispatch.ray.ray_needed import load_ray

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANSWER, USAGE, ERROR_CODE, ERROR = COLUMNS = ("answer", "usage", "error_code", "error")


class Cell(NamedTuple):
    """
    The outcome of a row.

    Args:
        answer: Its text, or the JSON of the whole of it; None if the row failed.
        prompt_tokens: As the provider reports them; None if it does not.
        output_tokens: The same.
        error_code: Why the row failed, for machines; None if it was answered.
        error: The same in a sentence.
    """

    answer: str | None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    error_code: str | None = None
    error: str | None = None

    @property
    def size(self) -> int:
        """About the bytes that it takes in memory."""
        return 200 + len(self.answer or "") + len(self.error or "")


class LazyRow(Mapping[str, Any]):
    """A row of an Arrow table; a cell is turned into a Python value when it is requested."""

    def __init__(self, table: Any, place: int) -> None:
        self._table = table
        self._place = place

    def __getitem__(self, name: str) -> Any:
        if name not in self._table.column_names:
            raise KeyError(name)
        return self._table.column(name)[self._place].as_py()

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return len(self._table.column_names)


def check_names(names: Sequence[str], prefix: str) -> None:
    """
    Check that the new columns have names that *names* has not.

    Raises:
        JobError: One is there already; nothing of it is lost or renamed.
    """
    for name in COLUMNS:
        if prefix + name in names:
            raise JobError(
                f"the dataset already has a column {prefix + name!r}; give a prefix for the new "
                f"columns, such as prefix='new_', or rename that column"
            )


def rows_of(table: Any, names: Sequence[str] | None) -> Sequence[Mapping[str, Any]]:
    """Return the rows of *table* with the columns *names*, or with any column if None."""
    if names is None:
        return [LazyRow(table, place) for place in range(table.num_rows)]
    columns = [table.column(name).to_pylist() for name in names]
    if not columns:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def with_cells(table: Any, cells: Sequence[Cell], prefix: str) -> Any:
    """Return *table* with the columns of *cells*, whose types never depend on what they hold."""
    arrow = load_ray("pyarrow")
    count = arrow.int64()
    kind = arrow.struct([("prompt_tokens", count), ("output_tokens", count)])
    usage = [
        None
        if cell.prompt_tokens is None
        else {"prompt_tokens": cell.prompt_tokens, "output_tokens": cell.output_tokens}
        for cell in cells
    ]
    text = arrow.string()
    new = {
        ANSWER: arrow.array([cell.answer for cell in cells], text),
        USAGE: arrow.array(usage, kind),
        ERROR_CODE: arrow.array([cell.error_code for cell in cells], text),
        ERROR: arrow.array([cell.error for cell in cells], text),
    }
    for name, values in new.items():
        table = table.append_column(prefix + name, values)
    return table
