"""Finds the folder of kept token counts, and the flag that turns them off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ratedispatch.cli.command import option

if TYPE_CHECKING:
    from ratedispatch.jobs.workload.counts_folder import CountsFolder

#: The flag of the commands that count a file and send nothing of it.
no_memory_option = option(
    "--no-memory",
    group="Input",
    is_flag=True,
    help="Count the tokens of the file again, and save no counts for the next command.",
)


def counts_folder(*, no_memory: bool) -> CountsFolder | None:
    """Return where counts are kept; None for nowhere."""
    from ratedispatch.jobs.workload.counts_folder import CountsFolder, counts_path

    path = None if no_memory else counts_path(os.environ)
    return None if path is None else CountsFolder(path)
