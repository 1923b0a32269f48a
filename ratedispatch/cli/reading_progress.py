"""Shows on a terminal how far the reading of an input is."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from ratedispatch.cli.console import painter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def reading_progress(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far the reading is, on a terminal; give what to call with the bytes read."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("reading"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    console = Console(file=painter())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield show
