"""Chooses where an axis has its marks, and writes numbers, sizes and times of day on it. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from ratedispatch.observe.human import duration_text

#: Steps of a time axis in seconds: what clocks and calendars count in.
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200),
    *(86_400 * days for days in (1, 2, 7, 14, 28, 91, 365, 1_825, 3_650, 18_250)),
)

_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def round_ticks(largest: float, most: int = 5) -> list[float]:
    """Return round numbers from 0 to at least *largest*, about *most* of them."""
    if not 0 < largest < math.inf:
        return [0.0, 1.0]
    rough = largest / most
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(magnitude * one for one in (1, 2, 2.5, 5, 10) if magnitude * one >= rough * 0.999)
    count = math.ceil(largest / step - 1e-9)
    return [step * number for number in range(count + 1)]


def decade_ticks(lower: float, upper: float, most: int) -> list[float]:
    """Return numbers 1, 2 and 5 times powers of ten between *lower* and *upper*, not too many."""
    first, last = math.floor(math.log10(lower)), math.ceil(math.log10(upper))
    for parts in ((1, 2, 5), (1, 3), (1,)):
        found = [10.0**power * part for power in range(first, last + 1) for part in parts]
        found = [one for one in found if lower <= one <= upper]
        if len(found) <= most:
            return found
    return found[:: -(-len(found) // most)]


def short(number: float) -> str:
    """Return *number* as an axis shows it: ``1.5M``, ``300k``, ``0.25``."""
    for factor, suffix in _SUFFIXES:
        if abs(number) >= factor * 0.9995:
            return f"{number / factor:.3g}{suffix}"
    return f"{number:.3g}"


def amount(number: float) -> str:
    """Return *number* as a table shows it, with three digits that count: ``12,300``, ``0.125``."""
    if number >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


def seconds_text(seconds: float) -> str:
    """Return a time as `duration_text` does, and one below a second in milliseconds."""
    return f"{seconds * 1000:.3g} ms" if 0 < seconds < 1 else duration_text(seconds)


def time_ticks(start: float, end: float, most: int) -> list[tuple[float, str]]:
    """Return Unix times between *start* and *end* that are round in UTC, as clocks show them."""
    span = max(end - start, 1.0)
    step = next((one for one in _TIME_STEPS if span / one <= most), _TIME_STEPS[-1])
    found: list[tuple[float, str]] = []
    at = math.ceil(start / step) * step
    while at <= end and len(found) <= most:
        found.append((float(at), _clock(at, step)))
        at += step
    return found


def _clock(at: float, step: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    if step >= 86_400:
        return f"{moment:%Y-%m-%d}" if step >= 86_400 * 91 else f"{moment.day} {moment:%b}"
    if step >= 3_600 and moment.hour == 0:
        return f"{moment.day} {moment:%b}"
    return f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"


def date_text(at: float) -> str:
    """Return a Unix time with its date: ``27 November 2026, 19:01:05 UTC``."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M:%S} UTC"


def between_text(start: float, end: float) -> str:
    """Return two Unix times as a span; the date stands once where both are of one day."""
    first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
    if first.date() == last.date():
        return f"{first.day} {first:%B %Y, %H:%M:%S} – {last:%H:%M:%S} UTC"
    return f"{first.day} {first:%B %Y, %H:%M} – {last.day} {last:%B %Y, %H:%M} UTC"
