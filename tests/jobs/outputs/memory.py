"""
The memory that making a table takes: ``python -m tests.jobs.outputs.memory FOLDER FORMAT ROWS``.

Prints the peak of this process in MB.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.jobs.outputs.table import OutputFormat, write_table
from tests.jobs.outputs.lines import chat, result, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.jobs.outputs.output_row import Row


def main(folder: Path, format: OutputFormat, count: int) -> None:  # noqa: A002
    """Make a table of *count* rows in *folder*."""
    results = folder / "results.jsonl"
    with results.open("wb") as file:
        for row in range(1, count + 1):
            file.write(result(row, chat(f"The answer to row {row} is a sentence, and no more.")))

    def rows() -> Iterator[Row]:
        for row in range(1, count + 1):
            yield row, {"number": row, "text": f"the text of row {row}"}, f"q-{row}"

    target = folder / "table"
    columns = ["number", "text"]
    made = write_table(target, format, columns=columns, rows=rows, results=[results], row_of=row_of)
    assert made == count
    # in KB; on macOS in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), OutputFormat(sys.argv[2]), int(sys.argv[3]))
