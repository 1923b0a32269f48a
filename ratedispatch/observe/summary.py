"""Writes the report of a job for a person: a small table, and why rows failed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from ratedispatch.dimension import dimension_named
from ratedispatch.observe.human import about_usd, duration_text, one_line
from ratedispatch.pacing.bottleneck import words_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.observe.report import Report
    from ratedispatch.observe.route_figures import RouteFigures

#: Reasons that a person is shown; the others are counted together.
_SHOWN = 8

#: Columns of a reason; codes are the provider's own words, and some put whole sentences there.
_LONGEST_CODE = 40


def table(report: Report, *, cost: str | None, width: int) -> str:
    """
    Return *report* as a table with a line for each topic.

    Args:
        report: The report of the run.
        cost: What the run cost, as a person reads it; None to leave it out.
        width: Columns of the terminal.
    """
    return laid_out(topics(report, cost=cost), width)


def laid_out(lines: Mapping[str, str], width: int) -> str:
    """Return *lines* by topic, each text beside its topic and wrapped at *width* columns."""
    label = max(map(len, lines)) + 2
    return "\n".join(
        textwrap.fill(
            text,
            max(width, 2 * label),
            initial_indent=name.ljust(label),
            subsequent_indent=" " * label,
        )
        for name, text in lines.items()
    )


def topics(report: Report, *, cost: str | None) -> dict[str, str]:
    """Return what there is to say of *report*, by topic; *cost* as `table` takes it."""
    lines = {"rows": report.rows, "time": duration_text(report.seconds)}
    lines["requests"] = (
        f"{report.attempts:,} sent, {report.refusals:,} refused, {report.retries:,} retried"
    )
    doubt = []
    if report.in_doubt:
        doubt.append(f"{report.in_doubt:,} given up in flight, which may have been billed")
    if report.billed_twice_at_most:
        doubt.append(f"{report.billed_twice_at_most:,} at most billed twice")
    if doubt:
        lines["in doubt"] = ", ".join(doubt)
    if report.prompt_tokens:
        lines["tokens in"] = (
            f"{report.prompt_tokens:,} (estimated {report.expected_tokens:,}, {report.deviation})"
        )
        lines["tokens out"] = f"{report.output_tokens:,}"
    if cost is not None:
        lines["cost"] = cost
    if report.shares and report.attempts:
        lines["limits"] = ", ".join(
            f"{share:.0%} of {dimension_named(name).phrase}"
            for name, share in report.shares.items()
        )
    for name, one in report.routes.items():
        lines[one_line(name)] = _route_text(one)
    if report.binding is not None and report.attempts > 1:
        lines["bound by"] = words_for(report.binding)
    return lines


def _route_text(figures: RouteFigures) -> str:
    """Return what one member of a pool has done."""
    text = f"{figures.sent:,} sent, {figures.answered:,} answered, {figures.refused:,} refused"
    if figures.shares:
        text += f", used {max(figures.shares.values()):.0%}"
    if figures.cost_usd is not None:
        text += f", cost {about_usd(figures.cost_usd)}"
    if figures.stop_code is not None:
        text += f"; left alone: {one_line(figures.stop_message or figures.stop_code)}"
    return text


def failures_text(report: Report) -> str:
    """Return how many rows failed, and for which reasons: ``3 rows failed (2 × a, 1 × b)``."""
    rows = "1 row" if report.failed == 1 else f"{report.failed:,} rows"
    reasons = sorted(report.failures.items(), key=lambda item: -item[1])
    parts = [f"{count:,} × {_short(code)}" for code, count in reasons[:_SHOWN]]
    others = sum(count for _, count in reasons[_SHOWN:])
    if others:
        parts.append(f"{others:,} for other reasons")
    earlier = report.failed - sum(report.failures.values())
    if earlier > 0 and parts:
        parts.append(f"{earlier:,} in earlier runs")
    return f"{rows} failed" + (f" ({', '.join(parts)})" if parts else "")


def _short(code: str) -> str:
    code = one_line(code) or "unknown"
    return code if len(code) <= _LONGEST_CODE else code[: _LONGEST_CODE - 1] + "…"
