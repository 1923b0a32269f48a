"""Makes the workload of a file: what `simulate` and `tune` play, counted as `plan` counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.jobs.workload.counted import Counting
from ratedispatch.jobs.workload.row_reading import Reading, read_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.limits import Limits


def read_workload(
    path: str | os.PathLike[str],
    limits: Limits | LimitGroups | None = None,
    *,
    reading: Reading | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Counted:
    """
    Return what the rows of a file cost, and those that can never be sent. Nothing is sent.

    Args:
        path: A JSONL file in OpenAI's Batch format, or a table; ``-`` for standard input.
        limits: What the account may spend; None for all rows that can be counted.
        reading: How the file is read and counted.
        on_progress: Called now and then with the bytes read so far, and those there are.

    Raises:
        JobError: The file is missing, empty, or cannot be read.
        OSError: Reading broke off.
    """
    counting = Counting()
    read_rows(path, reading or Reading(), [counting], on_progress=on_progress)
    counted = counting.counted()
    return counted if limits is None else counted.under(limits)
