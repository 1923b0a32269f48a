"""
How a table of header names becomes readings of buckets.

Decides what is believed of a limit, a remainder and a reset, whoever sent them. Knows no
provider: `tables` has their names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.limits import MINUTE, Reading
from ratedispatch.providers.read.amounts import parse_amount
from ratedispatch.providers.read.bucket_window import infer_window
from ratedispatch.providers.read.durations import parse_duration
from ratedispatch.providers.read.instants import EPOCH, seconds_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Go durations are truncated to milliseconds (OpenAI).
_MILLISECOND = 0.001


@dataclass(frozen=True, slots=True)
class Names:
    """
    The headers, in lower case, that describe one bucket.

    Args:
        dimension: Which bucket, as `Reading` names it.
        remaining: What is left in it.
        limit: What it holds.
        reset: When it is full again; empty if that is not sent or not to be believed.
        period: Its window in seconds; empty if that is not sent.
        window: Its window where the provider documents one. A *reset* that can only be that of
            a bucket of a day overrules it; a *period* that is sent overrules both.
    """

    dimension: str
    remaining: str
    limit: str
    reset: str = ""
    period: str = ""
    window: float | None = None


Table = tuple[Names, ...]


def read_table(table: Table, headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return what *headers* (lower-case names) say about the buckets of *table*.

    A value that is missing, negative or not a number means unknown, and so does a limit of
    zero; nothing left is believed. Of two that describe the same bucket the stricter counts.
    """
    readings = []
    get = headers.get
    for names in table:
        remaining_text = get(names.remaining)
        limit_text = get(names.limit)
        if remaining_text is None and limit_text is None:
            continue
        remaining = parse_amount(remaining_text)
        limit = parse_amount(limit_text) or None
        if remaining is None and limit is None:
            continue
        window = period = names.window
        if names.period and (sent := parse_amount(get(names.period))):
            window = period = sent
        elif names.reset and limit is not None and remaining is not None:
            inferred = _window(limit, remaining, get(names.reset, ""), headers)
            if inferred is not None and (period is None or inferred > 2 * period):
                window = inferred
        readings.append(Reading(names.dimension, remaining, limit, window, period or MINUTE))
    return strictest(readings)


def strictest(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return one reading for each bucket: the one with the least left, else the lower limit."""
    if len(readings) == 2 and readings[0].dimension != readings[1].dimension:
        return tuple(readings)  # nearly every answer there is
    found: dict[str, Reading] = {}
    for reading in readings:
        bucket = reading.bucket
        known = found.get(bucket)
        if known is None or _rank(reading) < _rank(known):
            found[bucket] = reading
    return tuple(found.values())


def _rank(reading: Reading) -> tuple[float, float]:
    return (
        math.inf if reading.remaining is None else reading.remaining,
        math.inf if reading.limit is None else reading.limit,
    )


def _window(limit: float, remaining: float, text: str, headers: Mapping[str, str]) -> float | None:
    if not text or remaining >= limit:
        return None
    reset = parse_duration(text) if ":" not in text else None
    if reset is not None and reset < EPOCH:
        return infer_window(limit, remaining, reset, 1.0 if text.isdigit() else _MILLISECOND)
    gap = seconds_until(text, headers)
    return None if gap is None else infer_window(limit, remaining, gap, 1.0)
