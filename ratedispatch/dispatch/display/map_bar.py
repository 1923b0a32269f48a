"""
A bar for a `map`: how many outcomes have come, how fast, and how long the rest may take.

In a notebook it is a picture in the cell, elsewhere a line on standard error. Decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ratedispatch.dispatch.display.notebook import NotebookPicture, is_notebook
from ratedispatch.outcome import Failed
from ratedispatch.pacing.bottleneck import words_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from ratedispatch.outcome import Outcome

#: Seconds between two pictures.
_FRAME_SECONDS = 0.5


async def with_bar(
    outcomes: AsyncGenerator[Outcome, None], total: int | None, binding: Callable[[], str]
) -> AsyncGenerator[Outcome, None]:
    """
    Yield *outcomes* and show how many have come.

    Args:
        outcomes: Closed with this.
        total: How many there will be, if that is known.
        binding: Names what holds the queue back.
    """
    bar = MapBar(total, binding)
    drawing = asyncio.create_task(bar.draw())
    try:
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                bar.count(outcome)
                yield outcome
    finally:
        drawing.cancel()
        await asyncio.wait([drawing])


class MapBar:
    """
    The bar. For one event loop.

    Args:
        total: How many outcomes there will be, if that is known.
        binding: Names what holds the queue back.
    """

    def __init__(self, total: int | None, binding: Callable[[], str]) -> None:
        self._binding = binding
        self._failed = 0
        self._console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            auto_refresh=False,
            get_time=asyncio.get_running_loop().time,
        )
        self._task = self._progress.add_task("", total=total)

    def count(self, outcome: Outcome) -> None:
        """Count *outcome*."""
        self._failed += isinstance(outcome, Failed)
        self._progress.advance(self._task)

    async def draw(self) -> None:
        """Draw until it is cancelled, and then again."""
        if is_notebook():
            picture = NotebookPicture()
            await self._repeat(
                lambda: picture.show(self._progress.make_tasks_table(self._progress.tasks))
            )
        elif self._console.is_terminal:
            with self._progress:
                await self._repeat(self._progress.refresh)
        else:
            await self._repeat(lambda: None)
            sys.stderr.write(f"{self.sentence()}\n")

    async def _repeat(self, show: Callable[[], None]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                self._describe(self._binding())
                show()
                await asyncio.sleep(_FRAME_SECONDS)
        self._describe("")
        show()

    def _describe(self, binding: str) -> None:
        speed = self._progress.tasks[0].speed
        parts = [f"{speed * 60:,.0f}/min" if speed else "", f"{self._failed:,} failed"]
        parts.append(f"bound by {words_for(binding)}" if binding else "")
        self._progress.update(self._task, description=", ".join(part for part in parts if part))

    def sentence(self) -> str:
        """Return the state as a line of text."""
        task = self._progress.tasks[0]
        of = "" if task.total is None else f" of {task.total:,.0f}"
        return f"{task.completed:,.0f}{of} answered or failed, {self._failed:,} failed"
