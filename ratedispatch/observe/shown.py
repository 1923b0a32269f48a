"""Decides whether the progress of a file is shown to whoever called `run_file`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from ratedispatch.dispatch.display.notebook import is_notebook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ratedispatch.events import Listener
    from ratedispatch.observe.status import Watched


@contextlib.asynccontextmanager
async def shown(job: Watched, wish: bool | None) -> AsyncIterator[tuple[Listener, ...]]:
    """
    Show the progress of *job* as long as the block runs, if requested.

    Args:
        job: What runs.
        wish: None for in a notebook only.

    Yields:
        Listeners that the display needs.
    """
    if wish is False or (wish is None and not is_notebook()):
        yield ()
        return
    from ratedispatch.observe.progress import show_in_notebook, show_progress  # rich is loaded

    if is_notebook():
        async with show_in_notebook(job):
            yield ()
    else:
        async with show_progress(job, sys.stderr) as notes:
            yield (notes,)
