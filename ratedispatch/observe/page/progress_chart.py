"""Draws the progress of a run over time, beside the forecast."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ratedispatch.observe.human import duration_text
from ratedispatch.observe.page.frames import frames_of
from ratedispatch.observe.page.run_section import Figure
from ratedispatch.observe.page.time_chart import LAYOUTS, Series, TimeChart, draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.observe.history import PlayedRun

#: How many times as long as the run its chart is at most.
_FARTHEST = 3.0

_TITLE = "Share of the answers in %, predicted and measured"


def progress_figure(run: PlayedRun, tenths: Sequence[float]) -> Figure:
    """
    Return a chart of the share of the answers that had come, measured and predicted.

    Args:
        run: What happened.
        tenths: Seconds at which each tenth was predicted to be done.
    """
    about = (
        f"The last answer was predicted {duration_text(tenths[-1])} after the first request, and "
        f"came after {duration_text(run.bins.seconds)}."
    )
    pictures = []
    for layout in LAYOUTS:
        frames = frames_of(run, layout.frames)
        start, end = frames.edges[0], frames.edges[-1]
        # the chart goes on until what was predicted, unless that is far away
        predicted_end = start + min(tenths[-1], _FARTHEST * (end - start))
        if predicted_end > end:
            frames = dataclasses.replace(frames, edges=[*frames.edges[:-1], predicted_end])
        total = sum(frames.answers) or 1.0
        done, measured = 0.0, []
        for answers in frames.answers:
            done += answers
            measured.append(done / total * 100)
        predicted = [_share(edge - start, tenths) for edge in frames.edges[1:]]
        lines = [Series("measured", measured), Series("predicted", predicted, "s2")]
        chart = TimeChart(_TITLE, " %", about, lines, pauses=False, top=100.0)
        pictures.append((layout.kind, draw(chart, frames, layout, f"progress-{layout.kind}")))
    return Figure(_TITLE, about, pictures)


def _share(seconds: float, tenths: Sequence[float]) -> float:
    """Return the percentage that was predicted to be done by then, on a line between tenths."""
    before = 0.0
    for number, each in enumerate(tenths):
        if seconds < each:
            part = (seconds - before) / (each - before) if each > before else 0.0
            return (number + max(0.0, part)) * 10
        before = each
    return 100.0
