"""
What a person sees while a job runs: a live display on a terminal, a plain line elsewhere.

Reads a job's counts; changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ratedispatch.jobs.job import Job
    from ratedispatch.limits import Limits

#: Seconds over which the rates are averaged.
_WINDOW = 15.0

#: Seconds between two plain lines, and between two pictures of the live display.
_LINE_INTERVAL = 10.0
_FRAME_INTERVAL = 0.25


@dataclass(frozen=True, slots=True)
class Status:
    """
    A job at one instant.

    Args:
        done: Rows with an outcome, those of an earlier run included.
        total: Rows in the file.
        failed: Rows of these that failed.
        requests_per_minute: What is being sent.
        tokens_per_minute: What is being reserved.
        in_flight: Requests sent and not answered.
        refusals: Answers 429 so far.
        retries: Attempts beyond the first of a row.
        eta: Seconds to the end at this speed; ``None`` if it cannot be told.
        paused: Seconds for which the line still pauses.
    """

    done: int
    total: int
    failed: int
    requests_per_minute: float
    tokens_per_minute: float
    in_flight: int
    refusals: int
    retries: int
    eta: float | None
    paused: float


class Meter:
    """
    Measures a job's rates.

    Args:
        job: What to watch.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._samples: deque[tuple[float, int, int, int]] = deque()

    def read(self) -> Status:
        """Return the job's status now."""
        now = asyncio.get_running_loop().time()
        tally, snapshot = self._job.tally, self._job.snapshot()
        here = tally.answered + tally.failed
        self._samples.append((now, tally.attempts, tally.tokens, here))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW:
            self._samples.popleft()
        before, attempts, tokens, earlier = self._samples[0]
        span = max(now - before, 1e-9)
        done = self._job.resumed + here
        speed = (here - earlier) / span
        left = self._job.total - done
        return Status(
            done=done,
            total=self._job.total,
            failed=tally.failed,
            requests_per_minute=(tally.attempts - attempts) / span * 60,
            tokens_per_minute=(tally.tokens - tokens) / span * 60,
            in_flight=snapshot.in_flight if snapshot is not None else 0,
            refusals=tally.refusals,
            retries=tally.retries,
            eta=left / speed if speed > 0 else None,
            paused=snapshot.paused if snapshot is not None else 0.0,
        )


def plain_line(status: Status, limits: Limits) -> str:
    """Return *status* as one line of text."""
    share = f" ({status.done / status.total:.0%})" if status.total else ""
    parts = [
        f"{status.done:,} of {status.total:,} rows{share}",
        _rate(status.requests_per_minute, limits.known("requests"), "requests/min"),
        _rate(status.tokens_per_minute, limits.known("tokens"), "tokens/min"),
        f"{status.in_flight:,} in flight",
        f"{status.refusals:,} refused (429)",
        f"{status.retries:,} retries",
        f"{status.failed:,} failed",
        f"ETA {_clock(status.eta)}",
    ]
    if status.paused > 0:
        parts.append(f"paused {status.paused:.0f} s")
    return ", ".join(parts)


@contextlib.asynccontextmanager
async def show_progress(job: Job, limits: Limits, stream: TextIO) -> AsyncIterator[None]:
    """Show the progress of *job* on *stream* as long as the block runs."""
    console = Console(file=stream)
    meter = Meter(job)
    show = _show_live if console.is_terminal else _show_lines
    task = asyncio.create_task(show(meter, limits, console))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _show_lines(meter: Meter, limits: Limits, console: Console) -> None:
    meter.read()
    while True:
        await asyncio.sleep(_LINE_INTERVAL)
        line = plain_line(meter.read(), limits)
        console.print(line, markup=False, highlight=False, soft_wrap=True)


async def _show_live(meter: Meter, limits: Limits, console: Console) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(_picture(meter.read(), limits, console.width), refresh=True)
            await asyncio.sleep(_FRAME_INTERVAL)


def _picture(status: Status, limits: Limits, width: int) -> Group:
    bar = Table.grid(padding=(0, 1))
    share = status.done / status.total if status.total else 0.0
    bar.add_row(
        ProgressBar(total=max(1, status.total), completed=status.done, width=min(40, width // 2)),
        Text(f"{status.done:,}/{status.total:,} rows  {share:.0%}  ETA {_clock(status.eta)}"),
    )
    rates = Text("  ").join(
        [
            Text(_rate(status.requests_per_minute, limits.known("requests"), "RPM")),
            Text(_rate(status.tokens_per_minute, limits.known("tokens"), "TPM")),
        ]
    )
    counts = Text(
        f"{status.in_flight:,} in flight  {status.refusals:,} × 429  "
        f"{status.retries:,} retries  {status.failed:,} failed"
    )
    if status.paused > 0:
        counts.append(f"  paused {status.paused:.0f} s", style="yellow")
    return Group(bar, rates, counts)


def _rate(value: float, limit: float | None, unit: str) -> str:
    if limit is None:
        return f"{value:,.0f} {unit}"
    return f"{value:,.0f} of {limit:,.0f} {unit} ({value / limit:.0%})"


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "--:--"
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
