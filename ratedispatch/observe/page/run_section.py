"""Makes the section of a report page on one run: charts, captions, and tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.dimension import PER_MINUTE, dimension_named
from ratedispatch.observe.human import duration_text, one_line
from ratedispatch.observe.page.captions import (
    counted,
    flight_sentence,
    rate_sentence,
)
from ratedispatch.observe.page.frames import ceiling_of, frames_of, limits_over, share_near
from ratedispatch.observe.page.ticks import amount, between_text, date_text, seconds_text
from ratedispatch.observe.page.time_chart import (
    LAYOUTS,
    Ceiling,
    Series,
    TimeChart,
    draw,
    time_labels,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from ratedispatch.observe.history import PlayedRun
    from ratedispatch.observe.page.frames import Frames

#: Rows of the table that stands for the charts.
_TABLE = 40

#: Notes and codes that are shown.
_NOTES = 60
_CODES = 20

#: How many times the limit is more than a burst and rounding.
_ABOVE = 1.02

#: What the limits on each dimension are on, of the numbers of a frame.
_REQUESTS = ("requests",)
_TOKENS = ("tokens", "input_tokens")


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart: its title, what one sees in it, and its pictures by the class that shows them."""

    title: str
    caption: str
    pictures: Sequence[tuple[str, Markup]]


@dataclass(frozen=True, slots=True)
class RunSection:
    """
    What is shown of a run.

    Args:
        title: The title of the run.
        span: When it was, and how long it took.
        command: What it was started with; empty if unknown.
        program: The version, and the server; empty if unknown.
        figures: Its charts.
        table: Of each frame what the charts show.
        limits: The limits by the name of their dimension, at the start and at the end.
        codes: How often attempts ended without an answer, by code.
        notes: What else happened, with its time.
        more: A sentence on the notes that are left out; empty if all are there.
    """

    title: str
    span: str
    command: str
    program: str
    figures: Sequence[Figure]
    table: Sequence[Sequence[str]]
    limits: Sequence[tuple[str, str, str]]
    codes: Sequence[tuple[str, str]]
    notes: Sequence[tuple[str, str]]
    more: str


def section_of(run: PlayedRun, title: str, name: str) -> RunSection:
    """
    Return what is shown of *run*.

    Args:
        run: What happened.
        title: The title of the run.
        name: Unique on the page.
    """
    bins = run.bins
    program = f"ratedispatch {run.version}" if run.version else ""
    if run.server:
        program += f"{', sent' if program else 'Sent'} to {run.server}"
    codes = sorted(run.codes.items(), key=lambda item: -item[1])
    left_out = max(0, len(run.notes) - _NOTES) + run.more_notes
    more = f"{counted(left_out, 'further note')} are left out." if left_out else ""
    return RunSection(
        title=title,
        span=f"{between_text(bins.start, bins.end)} ({duration_text(bins.seconds)})",
        command=run.command,
        program=program,
        figures=list(_figures(run, name)),
        table=list(_rows(frames_of(run, _TABLE))),
        limits=list(_limits(run)),
        codes=[(code, f"{count:,}") for code, count in codes[:_CODES]],
        notes=[(date_text(note.at), note.text) for note in run.notes[:_NOTES]],
        more=more,
    )


def _figures(run: PlayedRun, name: str) -> Iterator[Figure]:
    if not (any(run.bins.requests) or any(run.bins.answers)):
        return
    by_layout = [(layout, frames_of(run, layout.frames)) for layout in LAYOUTS]
    charts = [list(_charts(run, frames)) for _, frames in by_layout]
    for number, chart in enumerate(charts[0]):
        pictures = [
            (layout.kind, draw(charts[place][number], frames, layout, f"{name}-{number}-{place}"))
            for place, (layout, frames) in enumerate(by_layout)
        ]
        yield Figure(chart.title, chart.about, pictures)


def _charts(run: PlayedRun, frames: Frames) -> Iterator[TimeChart]:
    if any(frames.requests):
        yield _rate_chart(run, frames, "Requests per minute", "requests", _REQUESTS)
        yield _rate_chart(run, frames, "Tokens per minute", "tokens", _TOKENS)
    else:
        rates = frames.answers_per_minute
        about = rate_sentence("answers", rates, frames, [], 0.0)
        line = Series("answered", rates)
        yield TimeChart("Answers per minute", " answers per minute", about, [line])
    flight = flight_sentence(frames)
    yield TimeChart("Requests in flight", "", flight, [Series("in flight", frames.in_flight)])
    waits = frames.longest_wait, frames.mean_wait
    if max(waits[0]) > 0:
        longest, mean = (max(each) for each in waits)
        about = (
            f"How long requests waited in the queue before they were sent. The highest mean of a "
            f"step was {seconds_text(mean)}; the longest wait was {seconds_text(longest)}."
        )
        lines = [Series("mean", waits[1]), Series("longest", waits[0], "s2")]
        yield TimeChart("Seconds of waiting in the queue", " s", about, lines)


def _rate_chart(
    run: PlayedRun, frames: Frames, title: str, what: str, dimensions: Sequence[str]
) -> TimeChart:
    rates = frames.requests if what == "requests" else frames.tokens
    series = [Series("sent" if what == "requests" else "reserved", rates)]
    ceilings, about = [], ""
    for dimension in dimensions:
        points = ceiling_of(run.steps, dimension, frames.edges[-1])
        if not points:
            continue
        near = rates
        if dimension == "input_tokens":
            near = frames.prompt_tokens
            series.append(Series("of these prompts", near, "s2"))
        label = "limit" if dimension == what else "limit of input"
        ceilings.append(Ceiling(label, points))
        limits = limits_over(frames, points)
        share = share_near(near, limits, frames.widths)
        about += " " + rate_sentence(dimension_named(dimension).unit, near, frames, limits, share)
        if share and _mean(near, frames) > _mean(limits, frames) * _ABOVE:
            about += (
                " The job sent more than the limit, because some of it was unused before the run"
            )
            if dimension != "requests":
                about += ", or because the provider charges less than a request may cost at most"
            about += "."
        if len({step.group for step in run.steps if step.dimension == dimension}) > 1:
            about += " The limit is the sum over all groups or members."
    if what == "tokens" and any(frames.billed):
        series.append(Series("billed", frames.billed, "s3"))
    if not ceilings:
        about = rate_sentence(what, rates, frames, [], 0.0)
    refused, paused = sum(frames.refusals), sum(frames.paused)
    if refused:
        about += f" Triangles mark the {counted(refused, 'refusal')}."
    if paused:
        about += f" Hatched bands: the queue paused, {counted(run.pauses, 'time')}."
    return TimeChart(title, f" {what} per minute", about.strip(), series, ceilings, refusals=True)


def _mean(rates: Sequence[float], frames: Frames) -> float:
    pairs = zip(rates, frames.widths, strict=True)
    return sum(rate * width for rate, width in pairs) / sum(frames.widths)


def _rows(frames: Frames) -> Iterator[Sequence[str]]:
    is_coarse = not any(frames.requests)
    for number, label in enumerate(time_labels(frames.edges)):
        if is_coarse:
            flight, answers = frames.in_flight[number], frames.answers[number]
            unknown = "–"
            yield (
                *(label, unknown, unknown, unknown, amount(flight), unknown, amount(answers)),
                *(unknown, unknown, unknown),
            )
            continue
        yield (
            label,
            amount(frames.requests[number]),
            amount(frames.tokens[number]),
            amount(frames.billed[number]),
            amount(frames.in_flight[number]),
            amount(frames.mean_wait[number]),
            amount(frames.answers[number]),
            amount(frames.refusals[number]),
            amount(frames.broken[number]),
            f"{frames.paused[number]:.0%}",
        )


def _limits(run: PlayedRun) -> Iterator[tuple[str, str, str]]:
    """Yield each limit: its name, what it was first, and what it was last."""
    seen: dict[tuple[str, str], list[str]] = {}  # by group and dimension, in words
    for step in run.steps:
        per = step.per_minute * (1440 if step.is_daily else 1)
        period = "day" if step.is_daily else "minute"
        words = f"{amount(per)} per {period}" if math.isfinite(per) else "none"
        seen.setdefault((step.group, step.dimension), []).append(words)
    order = {name: number for number, name in enumerate(PER_MINUTE)}
    for (group, name), texts in sorted(
        seen.items(), key=lambda one: (one[0][0], order.get(one[0][1], 99))
    ):
        label = dimension_named(name).unit
        yield f"{one_line(group)}: {label}" if group else label, texts[0], texts[-1]
