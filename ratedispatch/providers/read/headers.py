"""
Readings of buckets from a table of header names.

Decides what is believed of a limit, a remainder and a reset, whichever provider sent them. Names
no provider: each has the table of its names in its own module.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ratedispatch.limits import DAY, MINUTE, SHORT_WINDOW, Reading
from ratedispatch.providers.read.amounts import parse_amount
from ratedispatch.providers.read.durations import parse_duration
from ratedispatch.providers.read.instants import EPOCH, seconds_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Go durations are truncated to milliseconds (OpenAI).
_MILLISECOND = 0.001

#: The least and the most that come out for a day. ``limit - remaining`` is what was used, rounded
#: up, and at least one request was: so it is too large by less than a factor of two, and the
#: window too small by as much.
_LEAST_DAY = DAY / 2
_MOST_DAY = DAY * 1.05


@dataclass(frozen=True, slots=True)
class HeaderNames:
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


HeaderTable = tuple[HeaderNames, ...]

#: Tells a plain number that needs no second look; ``\d`` would let digits of other scripts pass.
_DIGITS = re.compile(r"[0-9]{1,15}").fullmatch

_parse_limit = lru_cache(maxsize=256)(parse_amount)  # a limit is the same in each answer


def x_ratelimit(
    dimension: str,
    name: str = "",
    *,
    window: float | None = None,
    has_reset: bool = False,
    has_period: bool = False,
) -> HeaderNames:
    """
    Return the widespread names ``x-ratelimit-remaining-{name}``, ``-limit-`` and ``-reset-``.

    Args:
        dimension: Which bucket, as `Reading` names it.
        name: The end of the names; that of the dimension by default.
        window: The window that the provider documents.
        has_reset: Whether a reset is sent and believed.
        has_period: Whether ``x-ratelimit-renewalperiod-{name}`` is sent.
    """
    name = name or dimension
    return HeaderNames(
        dimension,
        f"x-ratelimit-remaining-{name}",
        f"x-ratelimit-limit-{name}",
        f"x-ratelimit-reset-{name}" if has_reset else "",
        f"x-ratelimit-renewalperiod-{name}" if has_period else "",
        window,
    )


def read_headers(table: HeaderTable, headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return what *headers* (lower-case names) say about the buckets of *table*.

    A value that is missing, negative or not a number means unknown, and so does a limit of
    zero; nothing left is believed. Of two that describe the same bucket the stricter counts.
    """
    readings: list[Reading] = []
    get = headers.get
    for names in table:
        remaining_text = get(names.remaining)
        limit_text = get(names.limit)
        if remaining_text is None and limit_text is None:
            continue
        if remaining_text is not None and _DIGITS(remaining_text):  # nearly all there are
            remaining: float | None = float(remaining_text)
        else:
            remaining = parse_amount(remaining_text)
        limit = _parse_limit(limit_text) or None
        if remaining is None and limit is None:
            continue
        window = period = names.window
        if names.period and (sent := parse_amount(get(names.period))):
            window = period = sent
        elif names.reset and limit is not None and remaining is not None and remaining < limit:
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
    if not text:
        return None
    reset = parse_duration(text) if ":" not in text else None
    if reset is not None and reset < EPOCH:
        return infer_window(limit, remaining, reset, 1.0 if text.isdigit() else _MILLISECOND)
    gap = seconds_until(text, headers)
    return None if gap is None else infer_window(limit, remaining, gap, 1.0)


def infer_window(limit: float, remaining: float, reset: float, error: float) -> float | None:
    """
    Return ``reset × limit / (limit - remaining)``; ``None`` if that is meaningless.

    It shows nothing about a bucket that is full, where *reset* is zero, and where the result, or
    what it might be within the error of *reset*, is neither short enough to spend from now
    nor a day. What lies between comes from counters that restart at a fixed time, to which
    the formula does not apply.

    Args:
        limit: What the bucket holds, above zero.
        remaining: What is left in it.
        reset: Seconds until it is full.
        error: Seconds by which *reset* may be off, either way.
    """
    used = limit - remaining
    if used <= 0 or reset <= 0:
        return None
    scale = limit / used
    window = reset * scale
    if (reset + error) * scale <= SHORT_WINDOW:
        return window
    if (reset - error) * scale >= _LEAST_DAY and window <= _MOST_DAY:
        return window
    return None
