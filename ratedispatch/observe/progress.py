"""Shows the progress of a job: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ratedispatch.dispatch.display.notebook import NotebookPicture
from ratedispatch.events import (
    LimitChanged,
    ProcessLost,
    RouteResumed,
    RouteStopped,
    SharingChanged,
)
from ratedispatch.observe.human import clock_text, one_line
from ratedispatch.observe.status import Meter
from ratedispatch.observe.suspend import hidden_while_suspended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from ratedispatch.events import Event
    from ratedispatch.observe.status import Status, Watched

#: Seconds between two plain lines, and between two pictures of the live display.
_LINE_INTERVAL = 10.0
_FRAME_INTERVAL = 0.25

#: The same in a notebook, whose pictures travel to a browser; and the columns of each.
_CELL_INTERVAL = 0.5
_CELL_COLUMNS = 100

#: Share of a limit above which what is spent must have piled up before.
_PILED_UP = 1.1

#: Columns of the bar.
_LONGEST_BAR = 40
_SHORTEST_BAR = 8

#: Members of a pool that are shown.
_MOST_MEMBERS = 8

#: Share by which a limit has to change to be told again.
_WORTH_TELLING = 0.05


def plain_line(status: Status) -> str:
    """Return *status* as one line of text."""
    share = f" ({status.done / status.total:.0%})" if status.total else ""
    parts = [
        f"{status.done:,} of {status.total:,} rows{share}",
        _rate(status.requests_per_minute, status.limits.get("requests"), "requests/min"),
        _rate(status.tokens_per_minute, status.limits.get("tokens"), "tokens/min"),
        *_counts(status, "refused (429)"),
        f"ETA {clock_text(status.eta)}",
    ]
    if status.verdict:
        parts.append(status.verdict)
    if status.paused > 0:
        parts.append(f"paused {status.paused:.0f} s")
    parts += _members(status)
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

    listens_to = frozenset({LimitChanged, ProcessLost, RouteResumed, RouteStopped, SharingChanged})

    def __call__(self, event: Event) -> None:
        """Tell a learned limit, and what happens to members of a pool and of processes."""
        if isinstance(event, RouteStopped):
            self.say(f"{event.route} is left alone for a while: {event.message} ({event.code})")
        if isinstance(event, RouteResumed):
            self.say(f"{event.route} answers again")
        if isinstance(event, ProcessLost):
            self.say(event.message)
        if isinstance(event, SharingChanged):
            self.say(f"{event.group}: {event.message}" if event.group else event.message)
        if not isinstance(event, LimitChanged) or event.rate.is_auto:  # one is yet to be learned
            return
        key, limit = (event.group, event.rate.dimension), event.rate.limit
        before = self._told.get(key)
        if before is None or abs(limit - before) > _WORTH_TELLING * before:
            self._told[key] = limit
            of = f" for {event.group}" if event.group else ""
            self.say(f"limit in force{of}: {event.rate}")

    def say(self, text: str) -> None:
        """Write *text* where the next frame does not wipe it out."""
        is_whole = not self._console.is_terminal  # there it is broken between words
        self._console.print(one_line(text), markup=False, highlight=False, soft_wrap=is_whole)


@contextlib.asynccontextmanager
async def show_progress(job: Watched, stream: TextIO) -> AsyncIterator[Notes]:
    """
    Show the progress of *job* on *stream* as long as the block runs.

    Yields:
        What tells of limits that were learned, and whatever else is to be said meanwhile.
    """
    console = Console(file=stream)
    meter = Meter(job)
    is_live = console.is_terminal and not console.is_dumb_terminal
    show = _show_live if is_live else _show_lines
    task = asyncio.create_task(show(meter, console))
    try:
        yield Notes(console)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def show_in_notebook(job: Watched) -> AsyncIterator[None]:
    """Show the progress of *job* in the cell that is running, as long as the block runs."""
    meter, cell = Meter(job), NotebookPicture()
    task = asyncio.create_task(_show_pictures(meter, cell))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        cell.show(picture(meter.read(), _CELL_COLUMNS))


async def _show_pictures(meter: Meter, cell: NotebookPicture) -> None:
    while True:
        cell.show(picture(meter.read(), _CELL_COLUMNS))
        await asyncio.sleep(_CELL_INTERVAL)


async def _show_lines(meter: Meter, console: Console) -> None:
    meter.read()
    while True:
        await asyncio.sleep(_LINE_INTERVAL)
        line = plain_line(meter.read())
        console.print(line, markup=False, highlight=False, soft_wrap=True)


async def _show_live(meter: Meter, console: Console) -> None:
    live = Live(console=console, auto_refresh=False, transient=True)
    with live, hidden_while_suspended(live.stop, functools.partial(live.start, refresh=True)):
        while True:
            live.update(picture(meter.read(), console.width), refresh=True)
            await asyncio.sleep(_FRAME_INTERVAL)


def picture(status: Status, width: int) -> Text:
    """Return *status* as lines of at most *width* columns: progress, rates, counts, bottleneck."""
    state = [status.verdict] if status.verdict else []
    if status.paused > 0:
        state.append(f"paused {status.paused:.0f} s")
    rates = [
        _short_rate(status.requests_per_minute, status.limits.get("requests"), "RPM"),
        _short_rate(status.tokens_per_minute, status.limits.get("tokens"), "TPM"),
    ]
    lines = [
        _bar(status, width),
        *map(Text, _packed(rates, width)),
        *map(Text, _packed(_counts(status, "refused"), width)),
        *(Text(line, style="dim") for line in _packed(_members(status), width)),
        *(Text(line, style="dim") for line in _packed(state, width)),
    ]
    text = Text("\n").join(lines)
    text.no_wrap = True
    return text


def _bar(status: Status, width: int) -> Text:
    """Return the bar of the progress, and beside it the figures; without room, these alone."""
    share = min(1.0, status.done / status.total) if status.total else 0.0
    figures = "  ".join(
        [
            f"{status.done:,}/{status.total:,} rows",
            f"{share:.0%}",
            f"ETA {clock_text(status.eta)}",
        ]
    )
    room = min(_LONGEST_BAR, width - len(figures) - 2)
    if room < _SHORTEST_BAR:
        return Text(figures[:width])
    full = int(share * room)
    bar = Text("━" * full, style="bar.complete")
    bar.append("─" * (room - full), style="bar.back")
    bar.append(f"  {figures}", style="default")
    return bar


def _packed(parts: Sequence[str], width: int) -> list[str]:
    """Return *parts* in lines of at most *width* columns; what is longer is cut off."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines.append(part if len(part) <= width else part[: width - 1] + "…")
    return lines


def _members(status: Status) -> list[str]:
    """Return how each member does, of which only so many have room."""
    shown = [f"{one_line(name)} {text}" for name, text in status.members[:_MOST_MEMBERS]]
    others = len(status.members) - len(shown)
    return [*shown, f"and {others} more"] if others else shown


def _counts(status: Status, refused: str) -> list[str]:
    retries = "retry" if status.retries == 1 else "retries"
    return [
        f"{status.in_flight:,} in flight",
        f"{status.refusals:,} {refused}",
        f"{status.retries:,} {retries}",
        f"{status.failed:,} failed",
    ]


def _short_rate(value: float, limit: float | None, unit: str) -> str:
    if limit is None:
        return f"{_amount(value)} {unit}"
    return f"{_amount(value)} of {_amount(limit)} {unit} ({_of_limit(value, limit)})"


def _rate(value: float, limit: float | None, unit: str) -> str:
    if limit is None:
        return f"{value:,.0f} {unit}"
    return f"{value:,.0f} of {limit:,.0f} {unit} ({_of_limit(value, limit)})"


def _of_limit(value: float, limit: float) -> str:
    # beyond the limit is what had piled up at the provider, which is ours to spend
    return "piled up" if value > _PILED_UP * limit else f"{value / limit:.0%}"


def _amount(value: float) -> str:
    """Return a number in at most seven characters, ``20,749`` or ``14.06M``."""
    for unit, size in (("G", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.2f}{unit}"
    return f"{value:,.0f}"
