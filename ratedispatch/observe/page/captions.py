"""Writes the captions of a report page as sentences. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.observe.human import about_usd, duration_text
from ratedispatch.observe.page.ticks import amount, seconds_text
from ratedispatch.pacing.bottleneck import NOTHING, words_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.observe.outcomes import Outcomes
    from ratedispatch.observe.page.frames import Frames
    from ratedispatch.observe.page.material import Material, Predicted
    from ratedispatch.observe.report import Report
    from ratedispatch.observe.spread import Spread


def counted(number: float, noun: str) -> str:
    """Return ``1 row``, ``2 rows``, ``no rows``."""
    if number == 0:
        return f"no {noun}s"
    return f"{number:,.0f} {noun}" if number == 1 else f"{number:,.0f} {noun}s"


def headline(material: Material) -> str:
    """Return what came of the job, in a sentence or two."""
    outcomes = material.outcomes
    total = outcomes.rows or outcomes.answered + outcomes.failed
    if not total:
        text = "No row was answered"
    elif outcomes.answered == total:
        text = "The row was answered" if total == 1 else f"All {total:,} rows were answered"
    else:
        parts = [f"{outcomes.answered:,} of {counted(total, 'row')} were answered"]
        parts += [f"{outcomes.failed:,} failed"] if outcomes.failed else []
        parts += [f"{outcomes.left:,} have no result yet"] if outcomes.left else []
        text = ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0]
    report = material.report
    verdict = "" if report is None else held_sentence(report)
    return f"{text}. {verdict}".strip()


def held_rows(report: Report) -> list[tuple[str, float, str]]:
    """Return what held a run back, the longest first: in words, its share, and both as text."""
    total = sum(report.held_seconds.values())
    if total <= 0:
        return []
    found = sorted(report.held_seconds.items(), key=lambda item: -item[1])
    return [
        (words_for(name), seconds / total, f"{percent(seconds / total)}, {duration_text(seconds)}")
        for name, seconds in found[:8]
        if seconds / total >= 0.0005
    ]


def held_sentence(report: Report) -> str:
    """Return what held a run back for the longest time; empty if nothing is known."""
    total, binding = sum(report.held_seconds.values()), report.binding
    if total <= 0 or binding is None or report.attempts <= 1:
        return ""
    share = report.held_seconds.get(binding)
    if binding == NOTHING and share is not None:
        return f"No limit held the run back for {percent(share / total)} of the time."
    # the processor and a search are found out at the end, and have no seconds of their own
    span = "" if share is None else f" for {percent(share / total)} of the time"
    return f"The run was bound by {words_for(binding)}{span}."


def percent(share: float) -> str:
    """Return a share as a percentage: ``92 %``, ``0.4 %``."""
    if 0 < share < 0.01:
        return f"{share * 100:.1g}\u00a0%"
    if 0.99 < share < 1:
        return f"{math.floor(share * 1000) / 10:.1f}\u00a0%"
    return f"{share * 100:.0f}\u00a0%"


def rate_sentence(
    what: str, rates: Sequence[float], frames: Frames, limits: Sequence[float], near: float
) -> str:
    """Return what a chart of a rate shows: the mean, the highest, and how near the limit."""
    widths = frames.widths
    span = max(sum(widths), 1e-9)
    mean = sum(rate * width for rate, width in zip(rates, widths, strict=True)) / span
    text = f"On average {amount(mean)} {what} per minute, at most {amount(max(rates))}"
    text += f" over {duration_text(max(widths))}." if len(widths) > 1 else "."
    known = [limit for limit in limits if math.isfinite(limit)]
    if what == "answers":
        return text
    if not known:
        return f"{text} No limit on them was known."
    if len(set(known)) == 1:
        text += f" The limit was {amount(known[0])}"
    else:
        text += f" The limit was between {amount(min(known))} and {amount(max(known))}"
    if not near:
        return f"{text}; less than 90\u00a0% of it was used at any time."
    return f"{text}; at least 90\u00a0% of it was used for {percent(near)} of the time."


def flight_sentence(frames: Frames) -> str:
    """Return how many requests were in flight."""
    widths = frames.widths
    span = max(sum(widths), 1e-9)
    mean = sum(each * width for each, width in zip(frames.in_flight, widths, strict=True)) / span
    return (
        f"Requests sent and not yet answered: on average {amount(mean)}, at most "
        f"{amount(max(frames.in_flight))}."
    )


def measure(value: float, unit: str) -> str:
    """Return *value* with its *unit*: seconds as a person reads them, and whole tokens."""
    return seconds_text(value) if unit == "s" else f"{value:,.0f} {unit}"


def spread_sentence(spread: Spread, what: str, unit: str) -> str:
    """Return the mean, the quantiles and the largest of *spread*."""
    return (
        f"{spread.count:,} {what}: on average {measure(spread.mean, unit)}, half of them at most "
        f"{measure(spread.quantile(0.5), unit)}, 95\u00a0% at most "
        f"{measure(spread.quantile(0.95), unit)}, the largest {measure(spread.largest, unit)}."
    )


def failures_sentence(outcomes: Outcomes) -> str:
    """Return how many rows failed, for how many reasons."""
    if not outcomes.failed:
        return "No row failed."
    reasons = counted(len(outcomes.reasons), "reason")
    return (
        f"{counted(outcomes.failed, 'row')} failed, for {reasons}. Names come from the "
        f"input and messages from the provider; long ones are cut."
    )


class Measured(NamedTuple):
    """What came of a job that was predicted; None for what is not known."""

    seconds: float | None = None
    usd: float | None = None
    refused: float | None = None
    binding: str | None = None


def prediction_rows(predicted: Predicted, came: Measured) -> list[tuple[str, str, str, str]]:
    """Return by topic what was predicted, what came, and how far they are apart."""
    rows = []
    for name, one, real, written in (
        ("time", predicted.seconds, came.seconds, duration_text),
        ("cost", predicted.usd, came.usd, about_usd),
        ("refused", predicted.refused, came.refused, amount),
    ):
        if one is None:
            continue
        text = written(one.value)
        if one.high > one.low:
            text += f" ({written(one.low)} – {written(one.high)})"
        off = "" if not real else f"{(one.value / real - 1) * 100:+.1f}\u00a0%"
        rows.append((name, text, "not known" if real is None else written(real), off))
    if predicted.binding:
        bound = came.binding
        words = "not known" if bound is None else words_for(bound)
        off = "" if bound is None else "as predicted" if bound == predicted.binding else "different"
        rows.append(("bound by", words_for(predicted.binding), words, off))
    return rows
