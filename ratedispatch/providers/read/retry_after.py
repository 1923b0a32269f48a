"""
How long a server asks to wait.

Reads headers first, then fields of the body, then its text, then the time of a reset. Adds no
jitter and no backoff.
Follows: the order in which the openai SDK reads ``retry-after-ms`` and ``retry-after``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ratedispatch.providers.read.amounts import once, parse_amount
from ratedispatch.providers.read.durations import parse_duration
from ratedispatch.providers.read.instants import EPOCH, seconds_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ratedispatch.providers.quirks import Quirks
    from ratedispatch.providers.read.error_body import ErrorBody

#: OpenAI "try again in 7m12s", Azure "retry after 34 seconds", Gemini "retry in 36.4s".
_TRY_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) ([0-9.][0-9.a-zµμ]*)(?: ([a-z]+))?", re.IGNORECASE
)
_UNITS = {"millisecond": 1e-3, "second": 1.0, "sec": 1.0, "minute": 60.0, "hour": 3600.0}

#: The same in a header that has only words: "3 seconds".
_SPELLED = re.compile(r"([0-9.]+) ?(milliseconds?|seconds?|secs?|minutes?|hours?)", re.IGNORECASE)

#: Fields of errors that hold the wait, without case and punctuation, and their units in seconds.
_FIELDS = {"retryafter": 1.0, "retryafterseconds": 1.0, "retryafterms": 1e-3}

#: Values of a repeated header that are examined.
_MOST_VALUES = 8


def read_delay(
    error: ErrorBody, headers: Mapping[str, str], quirks: Sequence[Quirks]
) -> float | None:
    """
    Return the seconds that an answer asks to wait at least; ``None`` if it does not.

    Milliseconds before seconds before a date before the body, as the openai SDK reads them.
    A date, or a point in seconds since 1970, is taken against the server's own ``Date``, so no
    clock is read here.
    """
    milliseconds = parse_amount(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = once(_retry_after(headers, quirks)).strip(' "')
    seconds = _longest(after) if "," in after else parse_duration(after)
    if seconds is None and (match := _SPELLED.fullmatch(after)) is not None:
        seconds = _in_units(match)
    if seconds is not None and seconds < EPOCH:
        ends = _first(quirk.window_end(error, headers) for quirk in quirks)
        return seconds if ends is None or ends > seconds else ends
    if after and (gap := seconds_until(after, headers)) is not None:
        return max(0.0, gap)
    delay = _first(quirk.delay(error) for quirk in quirks)
    if delay is None:
        delay = _read_fields(error.fields)
    if delay is None:
        delay = _read_text(error.text)
    if delay is None:
        delay = _first(quirk.reset_delay(error, headers) for quirk in quirks)
    return delay


def _retry_after(headers: Mapping[str, str], quirks: Sequence[Quirks]) -> str:
    text = headers.get("retry-after")
    if text:
        return text
    names = (name for quirk in quirks for name in quirk.retry_after)
    return next((found for name in names if (found := headers.get(name))), "")


def _longest(after: str) -> float | None:
    """Seconds of the longest of several durations: that of a gateway, and its upstream's."""
    delays = [parse_duration(part.strip()) for part in after.split(",")[:_MOST_VALUES]]
    known = [delay for delay in delays if delay is not None]
    return max(known) if len(known) == len(delays) else None


def _first(delays: Iterable[float | None]) -> float | None:
    return next((delay for delay in delays if delay is not None), None)


def _read_fields(fields: Mapping[str, Any]) -> float | None:
    for name, value in fields.items():
        unit = _FIELDS.get(str(name).lower().replace("_", "").replace("-", ""))
        if unit is None or isinstance(value, bool):
            continue
        if isinstance(value, str):
            seconds = parse_duration(value)
        else:
            is_number = isinstance(value, int | float) and 0 <= value < EPOCH
            seconds = float(value) if is_number else None
        if seconds is not None and seconds < EPOCH:
            return seconds * unit
    return None


def _read_text(text: str) -> float | None:
    match = _TRY_AGAIN.search(text)
    return None if match is None else _in_units(match)


def _in_units(match: re.Match[str]) -> float | None:
    number = match[1].rstrip(".")
    unit = (match[2] or "").lower().removesuffix("s")
    bare = parse_amount(number)
    return parse_duration(number) if bare is None else bare * _UNITS.get(unit, 1.0)
