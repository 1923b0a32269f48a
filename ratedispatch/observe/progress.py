"""Shows the progress of a job: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ratedispatch.dimension import dimension_named
from ratedispatch.events import LimitChanged
from ratedispatch.observe.human import clock_text, one_line
from ratedispatch.pacing.bottleneck import NOTHING, words_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ratedispatch.events import Event
    from ratedispatch.observe.report import Tally
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.snapshot import Snapshot

#: Seconds over which the rates are averaged.
_WINDOW = 15.0

#: Seconds between two plain lines, and between two pictures of the live display.
_LINE_INTERVAL = 10.0
_FRAME_INTERVAL = 0.25

#: Share of a limit above which what is spent must have piled up before.
_PILED_UP = 1.1

#: Share by which a limit has to change to be told again.
_WORTH_TELLING = 0.05


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
        paused: Seconds for which the queue still pauses.
        limits: The limits per minute in force, by dimension, those of all groups together.
        verdict: The bottleneck, in words.
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
    limits: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""


class Watched(Protocol):
    """What a progress display reads of a job."""

    tally: Tally

    @property
    def total(self) -> int:
        """Rows of the input."""

    @property
    def done(self) -> int:
        """Rows that have an outcome."""

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is sent."""

    def snapshot(self) -> Snapshot | None:
        """Return the state of the queue; None before it runs."""

    def bottleneck(self) -> Bottleneck | None:
        """Return the bottleneck; None before it runs."""


class Meter:
    """
    Measures a job's rates.

    Args:
        job: What to watch.
    """

    def __init__(self, job: Watched) -> None:
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
        done = self._job.done
        speed = (here - earlier) / span
        left = self._job.total - done
        binding = self._binding()
        is_daily = binding is not None and dimension_named(binding).is_daily
        limits: dict[str, float] = {}
        for level in snapshot.levels if snapshot is not None else ():
            if math.isfinite(level.per_minute):
                limits[level.dimension] = limits.get(level.dimension, 0.0) + level.per_minute
        return Status(
            done=done,
            total=self._job.total,
            failed=tally.failed,
            requests_per_minute=(tally.attempts - attempts) / span * 60,
            tokens_per_minute=(tally.tokens - tokens) / span * 60,
            in_flight=snapshot.in_flight if snapshot is not None else 0,
            refusals=tally.refusals,
            retries=tally.retries,
            # neither a job that stops nor one that waits for a day goes on as in the last seconds
            eta=left / speed if speed > 0 and binding is not None and not is_daily else None,
            paused=snapshot.paused if snapshot is not None else 0.0,
            limits=limits,
            verdict="stopping" if binding is None else f"bound by {words_for(binding)}",
        )

    def _binding(self) -> str | None:
        """What holds the job back; None if it is stopping."""
        if self._job.is_stopping:
            return None
        verdict = self._job.bottleneck()
        return NOTHING if verdict is None else verdict.binding


def plain_line(status: Status) -> str:
    """Return *status* as one line of text."""
    share = f" ({status.done / status.total:.0%})" if status.total else ""
    parts = [
        f"{status.done:,} of {status.total:,} rows{share}",
        _rate(status.requests_per_minute, status.limits.get("requests"), "requests/min"),
        _rate(status.tokens_per_minute, status.limits.get("tokens"), "tokens/min"),
        f"{status.in_flight:,} in flight",
        f"{status.refusals:,} refused (429)",
        f"{status.retries:,} retries",
        f"{status.failed:,} failed",
        f"ETA {clock_text(status.eta)}",
    ]
    if status.verdict:
        parts.append(status.verdict)
    if status.paused > 0:
        parts.append(f"paused {status.paused:.0f} s")
    return ", ".join(parts)


class Notes:
    """
    Sentences between the frames of a progress display; a listener that tells of learned limits.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[tuple[str, str], float] = {}

    def __call__(self, event: Event) -> None:
        """Tell a learned limit."""
        if not isinstance(event, LimitChanged):
            return
        key, limit = (event.group, event.rate.dimension), event.rate.limit
        before = self._told.get(key)
        if before is None or abs(limit - before) > _WORTH_TELLING * before:
            self._told[key] = limit
            of = f" for {event.group}" if event.group else ""
            self.say(f"limit in force{of}: {event.rate}")

    def say(self, text: str) -> None:
        """Write *text* where the next frame does not wipe it out."""
        self._console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)


@contextlib.asynccontextmanager
async def show_progress(job: Watched, stream: TextIO) -> AsyncIterator[Notes]:
    """
    Show the progress of *job* on *stream* as long as the block runs.

    Yields:
        What tells of limits that were learned, and whatever else is to be said meanwhile.
    """
    console = Console(file=stream)
    meter = Meter(job)
    show = _show_live if console.is_terminal else _show_lines
    task = asyncio.create_task(show(meter, console))
    try:
        yield Notes(console)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _show_lines(meter: Meter, console: Console) -> None:
    meter.read()
    while True:
        await asyncio.sleep(_LINE_INTERVAL)
        line = plain_line(meter.read())
        console.print(line, markup=False, highlight=False, soft_wrap=True)


async def _show_live(meter: Meter, console: Console) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(_picture(meter.read(), console.width), refresh=True)
            await asyncio.sleep(_FRAME_INTERVAL)


def _picture(status: Status, width: int) -> Group:
    bar = Table.grid(padding=(0, 1))
    share = status.done / status.total if status.total else 0.0
    bar.add_row(
        ProgressBar(total=max(1, status.total), completed=status.done, width=min(40, width // 2)),
        Text(f"{status.done:,}/{status.total:,} rows  {share:.0%}  ETA {clock_text(status.eta)}"),
    )
    rates = Text("  ").join(
        [
            Text(_rate(status.requests_per_minute, status.limits.get("requests"), "RPM")),
            Text(_rate(status.tokens_per_minute, status.limits.get("tokens"), "TPM")),
        ]
    )
    counts = Text(
        f"{status.in_flight:,} in flight  {status.refusals:,} × 429  "
        f"{status.retries:,} retries  {status.failed:,} failed"
    )
    if status.verdict:
        counts.append(f"  {status.verdict}", style="dim")
    if status.paused > 0:
        counts.append(f"  paused {status.paused:.0f} s", style="yellow")
    return Group(bar, rates, counts)


def _rate(value: float, limit: float | None, unit: str) -> str:
    if limit is None:
        return f"{value:,.0f} {unit}"
    # beyond the limit is what had piled up at the provider, which is ours to spend
    ahead = ", piled up" if value > _PILED_UP * limit else ""
    return f"{value:,.0f} of {limit:,.0f} {unit} ({value / limit:.0%}{ahead})"
