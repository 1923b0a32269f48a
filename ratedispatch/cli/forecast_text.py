"""Writes a forecast as text for a person: small tables, notes, and the method."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from ratedispatch.dimension import dimension_named
from ratedispatch.observe.human import about_usd, clock_text, duration_text, one_line
from ratedispatch.observe.summary import laid_out
from ratedispatch.pacing.bottleneck import words_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.jobs.plan.foretold_cost import ForetoldCost
    from ratedispatch.simulate.forecast.forecast import Forecast, Interval

#: Bottlenecks for less than this share of the time are not shown.
_LEAST_SHARE = 0.005

#: Seconds of a job below which tenths of a second are shown.
_SHORT_SECONDS = 60.0

#: Models without a price that are named.
_NAMED = 3


def describe(
    forecast: Forecast, cost: ForetoldCost, *, notes: Sequence[str] = (), width: int
) -> str:
    """
    Return *forecast* as text for a person.

    Args:
        forecast: The forecast of the job.
        cost: The cost of the job.
        notes: Sentences that a person should read.
        width: Columns of the terminal.
    """
    told = [textwrap.fill(one_line(note), width) for note in notes]
    if not forecast.rows:
        return "\n\n".join(["There are no rows to send.", *told])
    lines = {"time": _time(forecast)}
    if forecast.held:
        lines["bound by"] = _held(forecast)
    if forecast.shares:
        lines["limits"] = ", ".join(
            f"{share.mean:.0%} of {dimension_named(name).phrase}"
            for name, share in forecast.shares.items()
        )
    lines["requests"] = _requests(forecast)
    lines["in flight"] = _in_flight(forecast)
    lines["tokens"] = _tokens(forecast)
    lines["cost"] = _cost(cost)
    lines["if killed"] = _killed(cost)
    parts = [_rows(forecast), laid_out(lines, width), _tenths(forecast)]
    if forecast.waits:
        parts.append(_waits(forecast))
    return "\n\n".join([*parts, *told, textwrap.fill(_method(forecast), width)])


def _between(interval: Interval, written: Callable[[float], str]) -> str:
    """Return the mean as *written*, and the lowest and the highest where they look different."""
    mean, low, high = map(written, interval)
    return mean if low == high else f"{mean} ({low} to {high})"


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _rows(forecast: Forecast) -> str:
    text = f"{forecast.rows:,} row" + "s" * (forecast.rows != 1)
    answered = _between(forecast.interval(lambda course: course.answered), _count)
    text += f": {answered} answered"
    failed = forecast.interval(lambda course: course.failed)
    if failed.high:
        text += f", {_between(failed, _count)} failed"
    stop = forecast.stop
    if stop is not None:
        text += f"; the job stops early ({one_line(stop[0])}): {one_line(stop[1])}"
    return text


def _time(forecast: Forecast) -> str:
    text = _between(forecast.seconds, duration_text)
    return f"{text}, then it stops" if forecast.stop is not None else text


def _held(forecast: Forecast) -> str:
    whole = math.fsum(time.mean for time in forecast.held.values())
    found = [
        f"{words_for(cause)} for {duration_text(time.mean)} ({time.mean / whole:.0%})"
        for cause, time in forecast.held.items()
        if time.mean >= _LEAST_SHARE * whole > 0
    ]
    return ", ".join(found) or "nothing"


def _requests(forecast: Forecast) -> str:
    sent = forecast.interval(lambda course: course.attempts)
    refused = forecast.interval(lambda course: course.refused)
    return f"{_between(sent, _count)} sent, {_between(refused, _count)} refused"


def _in_flight(forecast: Forecast) -> str:
    mean = forecast.interval(lambda course: course.in_flight_mean)
    peak = forecast.interval(lambda course: course.in_flight_peak)
    return f"{mean.mean:,.1f} on average, {_between(peak, _count)} at most"


def _tokens(forecast: Forecast) -> str:
    prompt = forecast.interval(lambda course: sum(course.prompt_tokens))
    output = forecast.interval(lambda course: sum(course.output_tokens))
    return f"{_between(prompt, _count)} in, {_between(output, _count)} out"


def _cost(cost: ForetoldCost) -> str:
    names = ", ".join(one_line(name) or "rows without a model" for name in cost.unpriced[:_NAMED])
    if len(cost.unpriced) > _NAMED:
        names += f" and {len(cost.unpriced) - _NAMED:,} more"
    if cost.usd is None:
        return f"not known: there is no price for {names}; give --price-in and --price-out"
    text = _between(cost.usd, about_usd)
    return f"{text}, excluding {names}, whose price is not known" if names else text


def _killed(cost: ForetoldCost) -> str:
    mean, most = cost.rows_in_doubt
    average = most_usd = ""
    if cost.usd_in_doubt is not None:
        average, most_usd = (f" ({about_usd(usd)})" for usd in cost.usd_in_doubt)
    return f"{mean:,.1f} rows billed twice on average{average}, {most:,} at most{most_usd}"


def _tenths(forecast: Forecast) -> str:
    """Return when each tenth is done, in two lines of five."""
    is_short = forecast.seconds.mean < _SHORT_SECONDS
    written = duration_text if is_short else clock_text
    times = [
        "never" if math.isinf(tenth.mean) else written(tenth.mean) for tenth in forecast.tenths
    ]
    width = max(6, *map(len, times))
    lines = []
    for first in (0, 5):
        some = range(first, first + 5)
        lines.append("rows done  " + "  ".join(f"{tenth + 1}0 %".rjust(width) for tenth in some))
        lines.append("after      " + "  ".join(times[tenth].rjust(width) for tenth in some))
    return "\n".join(lines)


def _waits(forecast: Forecast) -> str:
    """Return how long rows wait in the queue, by their size."""
    cells = [("rows of up to", "rows", "wait p50", "wait p95")] + [
        (f"{wait.most_tokens:,} tokens", f"{wait.rows:,}", f"{wait.p50:.2f} s", f"{wait.p95:.2f} s")
        for wait in forecast.waits
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def _method(forecast: Forecast) -> str:
    text = f"Method: {forecast.method}"
    if len(forecast.courses) > 1:
        text += " Brackets show the lowest and the highest result."
    return text
