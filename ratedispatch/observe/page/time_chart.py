"""
Draws lines over time: what was sent, the limits above it, and marks for refusals and pauses.

A chart is drawn twice: wide, with labels at the ends of its lines, and narrow, with a legend.
Without colour, lines differ by their dashes and their labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from ratedispatch.observe.page import svg
from ratedispatch.observe.page.ticks import amount, round_ticks, short, time_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ratedispatch.observe.page.frames import Frames

#: Above so many times the largest value, a limit would press all else to the ground.
_FARTHEST = 4.0

#: Pixels between two labels at the ends of lines.
_LABEL = 15.0


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Sizes of a picture in pixels.

    Args:
        kind: The class by which the page shows it: ``wide`` or ``narrow``.
        width: The total width.
        height: The height of the plot.
        left: Beside it, for the numbers.
        right: Beside it, for labels.
        frames: Frames at most.
        ticks: Marks of the time axis at most.
    """

    kind: str
    width: float
    height: float
    left: float
    right: float
    frames: int
    ticks: int

    @property
    def is_wide(self) -> bool:
        """Whether lines have labels at their ends."""
        return self.kind == "wide"

    @property
    def plot(self) -> float:
        """The width of the plot."""
        return self.width - self.left - self.right


WIDE = Layout("wide", 960, 190, 52, 168, 240, 8)
NARROW = Layout("narrow", 360, 180, 42, 10, 90, 4)
LAYOUTS = (WIDE, NARROW)


@dataclass(frozen=True, slots=True)
class Series:
    """
    A line.

    Args:
        label: What it is called at its end.
        values: One for each frame.
        class_: How it is drawn: ``s1``, ``s2``, ….
    """

    label: str
    values: Sequence[float]
    class_: str = "s1"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A limit, as (Unix time, value); infinite where there is none."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class TimeChart:
    """
    What a chart over time shows.

    Args:
        title: In a few words, with the unit.
        unit: Behind a number.
        about: What one sees, in sentences.
        series: Its lines; the first one has its area filled.
        ceilings: Limits above them.
        pauses: Whether pauses are marked.
        refusals: Whether refusals are marked.
        top: The largest number of the axis; None for one above all that is shown.
    """

    title: str
    unit: str
    about: str
    series: Sequence[Series]
    ceilings: Sequence[Ceiling] = field(default=())
    pauses: bool = True
    refusals: bool = False
    top: float | None = None


def draw(chart: TimeChart, frames: Frames, layout: Layout, name: str) -> Markup:
    """Return the picture of *chart*; *name* is unique on the page."""
    return _Drawing(chart, frames, layout).picture(name)


class _Drawing:
    def __init__(self, chart: TimeChart, frames: Frames, layout: Layout) -> None:
        self._chart, self._frames, self._layout = chart, frames, layout
        largest = max((max(one.values, default=0) for one in chart.series), default=0.0) or 1.0
        known = [
            value
            for one in chart.ceilings
            for _, value in one.points
            if math.isfinite(value) and value <= _FARTHEST * largest
        ]
        self._ticks = round_ticks(chart.top or max([largest, *known]) * 1.02)
        rows = 0 if layout.is_wide else len(chart.series) + len(chart.ceilings)
        self._top = 10.0 + 17 * rows
        self._bottom = self._top + layout.height
        start, end = frames.edges[0], frames.edges[-1]
        self._x: Callable[[float], float] = lambda at: (
            layout.left + (at - start) / max(end - start, 1e-9) * layout.plot
        )
        self._y: Callable[[float], float] = lambda value: (
            self._bottom - value / self._ticks[-1] * layout.height
        )

    def picture(self, name: str) -> Markup:
        """Return the chart; *name* is unique on the page."""
        chart, layout = self._chart, self._layout
        parts = [*self._grid()]
        if chart.pauses:
            parts += self._pauses()
        for number, one in enumerate(chart.series):
            points = list(self._steps(one.values))
            if number == 0:
                ground = (points[-1][0], self._bottom), (points[0][0], self._bottom)
                parts.append(svg.path([*points, *ground], f"area {one.class_}", is_closed=True))
            parts.append(svg.path(points, f"line {one.class_}"))
        for ceiling in chart.ceilings:
            parts += self._ceiling(ceiling)
        if chart.refusals:
            parts += self._refusals()
        parts += self._labels() if layout.is_wide else self._legend()
        parts += self._hints()
        size = layout.width, self._bottom + 24
        return svg.picture(name, chart.title, chart.about, size, Markup("").join(parts))

    def _grid(self) -> Iterator[Markup]:
        layout = self._layout
        for tick in self._ticks:
            y = self._y(tick)
            yield svg.line(layout.left, y, layout.left + layout.plot, y, "grid")
            yield svg.text(layout.left - 6, y + 4, short(tick), anchor="end")
        edges = self._frames.edges
        for at, label in time_ticks(edges[0], edges[-1], layout.ticks):
            x = self._x(at)
            yield svg.line(x, self._bottom, x, self._bottom + 5, "axis")
            if layout.left + 14 <= x <= layout.left + layout.plot - 14:
                yield svg.text(x, self._bottom + 19, label, anchor="middle")
        yield svg.line(layout.left, self._bottom, layout.left + layout.plot, self._bottom, "axis")

    def _steps(self, values: Sequence[float]) -> Iterator[tuple[float, float]]:
        for value, since, until in zip(
            values, self._frames.edges, self._frames.edges[1:], strict=False
        ):
            y = self._y(value)
            yield self._x(since), y
            yield self._x(until), y

    def _is_shown(self, value: float) -> bool:
        return value <= self._ticks[-1]

    def _ceiling(self, ceiling: Ceiling) -> Iterator[Markup]:
        start, end = self._frames.edges[0], self._frames.edges[-1]
        run: list[tuple[float, float]] = []
        for (at, value), (until, _) in zip(ceiling.points, ceiling.points[1:], strict=False):
            since, after = (min(max(one, start), end) for one in (at, until))
            if not self._is_shown(value):
                if run:
                    yield svg.path(run, "line limit")
                run = []
                continue
            run += [(self._x(since), self._y(value)), (self._x(after), self._y(value))]
        if run:
            yield svg.path(run, "line limit")

    def _pauses(self) -> Iterator[Markup]:
        frames = self._frames
        for share, since, until in zip(frames.paused, frames.edges, frames.edges[1:], strict=False):
            if share > 0:
                width = max(3.0, (self._x(until) - self._x(since)) * share)
                top = self._bottom - self._layout.height
                yield svg.rect(self._x(since), top, width, self._layout.height, "pause")

    def _refusals(self) -> Iterator[Markup]:
        frames, y = self._frames, self._bottom
        for count, since, until in zip(
            frames.refusals, frames.edges, frames.edges[1:], strict=False
        ):
            if count:
                x = self._x((since + until) / 2)
                corners = [(x, y - 9), (x - 5, y), (x + 5, y)]
                yield svg.path(corners, "refusal", is_closed=True)

    def _ends(self) -> Iterator[tuple[float, str, str]]:
        """Yield where the lines end, what they are called, and how they are drawn."""
        for one in self._chart.series:
            yield self._y(one.values[-1]), one.label, one.class_
        for ceiling in self._chart.ceilings:
            value = ceiling.points[-1][1]
            words = f"{ceiling.label} {amount(value)}" if math.isfinite(value) else ceiling.label
            if self._is_shown(value):
                yield self._y(value), words, "limit"
            else:
                yield self._bottom - self._layout.height, f"▲ {words}", "limit"

    def _labels(self) -> Iterator[Markup]:
        x, lowest = self._layout.left + self._layout.plot + 6, -math.inf
        ends = sorted(self._ends())
        room = self._bottom + 4 - _LABEL * (len(ends) - 1)
        for number, (y, words, class_) in enumerate(ends):
            lowest = max(min(y + 4, room + _LABEL * number), lowest + _LABEL)
            yield svg.line(x, lowest - 4, x + 18, lowest - 4, f"line {class_}")
            yield svg.text(x + 23, lowest, words, f"label {class_}")

    def _legend(self) -> Iterator[Markup]:
        for number, (_, words, class_) in enumerate(self._ends()):
            y = 12.0 + 17 * number
            yield svg.line(
                self._layout.left, y - 4, self._layout.left + 24, y - 4, f"line {class_}"
            )
            yield svg.text(self._layout.left + 30, y, words, f"label {class_}")

    def _hints(self) -> Iterator[Markup]:
        """Yield boxes that say what a frame holds when it is pointed at."""
        if not self._layout.is_wide:
            return
        frames, top = self._frames, self._bottom - self._layout.height
        labels = time_labels(frames.edges)
        for number, (since, until) in enumerate(zip(frames.edges, frames.edges[1:], strict=False)):
            words = "; ".join(
                f"{one.label}: {amount(one.values[number])}{self._chart.unit}"
                for one in self._chart.series
            )
            refused = frames.refusals[number]
            if self._chart.refusals and refused:
                words += f"; {refused:,.0f} refused"
            x = self._x(since)
            size = self._x(until) - x, self._layout.height
            yield svg.rect(x, top, *size, "hint", f"{labels[number]}  {words}")


def time_labels(edges: Sequence[float]) -> list[str]:
    """Return what the frames between *edges* are called: the time of day at which they begin."""
    from datetime import UTC, datetime

    days = len({datetime.fromtimestamp(at, UTC).date() for at in edges}) > 1
    form = "%Y-%m-%d %H:%M" if days else "%H:%M:%S"
    return [datetime.fromtimestamp(at, UTC).strftime(form) for at in edges[:-1]]
