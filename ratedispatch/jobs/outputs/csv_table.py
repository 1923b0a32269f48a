"""
Writes a table of answers as CSV.

A text stays the same text, whatever a spreadsheet would make of it, so that the table can be read
again as the data that it was made of.

Source: RFC 4180, for quotes, but with ``\\n`` as the end of a line.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.jobs.outputs.cell_text import cell_text, well_formed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ratedispatch.jobs.outputs.answer import Answer
    from ratedispatch.jobs.outputs.columns import Columns


def write_csv(
    file: BinaryIO,
    columns: Columns,
    rows: Iterable[tuple[int, Mapping[str, object], str | None]],
    answer_of: Callable[[int], Answer | None],
) -> int:
    """
    Write to *file* those of *rows* that have an answer, in their order; return how many.

    Args:
        file: Where the bytes go.
        columns: The columns of the table.
        rows: The number of each row, its cells by column, and its ``custom_id``.
        answer_of: The outcome of the row of a number; ``None`` if nothing yet.
    """
    lines = _Lines(file)
    # a reader that guesses finds its delimiter outside of quotes
    is_odd = any(mark in name for name in columns.names for mark in ";\t")
    header = csv.writer(lines, quoting=csv.QUOTE_ALL if is_odd else csv.QUOTE_MINIMAL)
    header.writerow(columns.names)
    writer = csv.writer(lines)
    count = 0
    for number, cells, custom_id in rows:
        answer = answer_of(number)
        if answer is None:
            continue
        inputs = [cell_text(cells.get(name)) for name in columns.inputs]
        writer.writerow(inputs + columns.own_cells(custom_id, answer))
        count += 1
    return count


class _Lines:
    r"""
    Takes rows that end in ``\r\n`` and writes them to a file with ``\n``.

    The module puts quotes around what stands in the end of a line. Told that this is ``\n``, it
    leaves a ``\r`` bare (before Python 3.13), and no reader takes it for a part of its cell.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, row: str) -> None:
        self._file.write(well_formed(row[:-2] + "\n").encode())
