"""
Readings from the headers of web rate limiters, which no provider of models has of its own.

Reads ``RateLimit`` and ``RateLimit-Policy`` of the IETF's drafts, the three fields of the earlier
ones, and the widespread ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset``. All of these count
requests in windows at whose end the counter starts over.
Sources: draft-ietf-httpapi-ratelimit-headers-03 to -10; express-rate-limit 8, @fastify/rate-limit,
koa-ratelimit, hono-rate-limiter, rate-limiter-flexible, Envoy, Kong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ratedispatch.limits import DAY, SHORT_WINDOW, Reading
from ratedispatch.providers.read.amounts import once, parse_amount
from ratedispatch.providers.read.durations import parse_duration
from ratedispatch.providers.read.instants import EPOCH, seconds_until

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The fields of the drafts.
_FIELD, _POLICY = "ratelimit", "ratelimit-policy"

#: What comes before ``limit``, ``remaining`` and ``reset``, the standard first.
_PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")

#: Headers that show that there is something to read.
NAMES = frozenset({_FIELD, *[f"{prefix}remaining" for prefix in _PREFIXES]})

#: Seconds of a window below which the difference of two instants, both in whole seconds, is too
#: coarse to wait for its end: such a counter is taken for a bucket.
_SHORTEST = 5.0

#: Seconds to an end, as rounded, that may be those of a window of a second: nothing shows in them.
_COARSE = 2.0

#: Characters of a field, and limits in one, that are looked at.
_LONGEST, _MOST = 1000, 8

#: The name of an item, and its parameters: ``"default";q=100;w=10``, ``100;w=10``.
_ITEM = re.compile(r'\s*(?:"([^"]*)"|([^\s;,="]+))?\s*((?:;\s*[a-z]+=[^;,]*)*)')
_PARAMETER = re.compile(r";\s*([a-z]+)=\s*([^;,\s]*)")
_PAIR = re.compile(r"\b(limit|remaining|reset)=([^;,\s]+)")


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one limit; None for what is not."""

    limit: float | None
    remaining: float
    ends_in: float | None = None
    window: float | None = None
    is_instant: bool = False  # of the end, compared with the answer's date


def read_web_limits(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return what *headers* (lower-case names) say about requests; nothing unless it makes sense.

    Of several limits the one with the lowest rate counts: the others are reached only in bursts.
    """
    policies = _policies(headers.get(_POLICY, ""))
    found = _of_field(headers.get(_FIELD, ""), policies) or _of_fields(headers, policies)
    readings = [reading for told in found if (reading := _reading(told)) is not None]
    days = [reading for reading in readings if reading.is_daily]
    others = [reading for reading in readings if not reading.is_daily]
    return tuple([min(alike, key=_rate) for alike in (others, days) if alike])


def _rate(reading: Reading) -> tuple[float, float]:
    rate = float("inf") if reading.limit is None else reading.limit / reading.period
    return rate, reading.remaining or 0.0


def _reading(told: _Told) -> Reading | None:
    """Return *told* as a reading; None if it says nothing that can be used."""
    limit, window = told.limit or None, told.window
    remaining, ends_in = told.remaining, told.ends_in
    if limit is not None and remaining > limit:
        return None
    if window is None:  # how long it is shows in how its end moves, if that is told
        if ends_in is None or limit is None or ends_in <= _COARSE:
            return None
        reading = Reading("requests", remaining, limit, None, ends_in=ends_in)
        return replace(reading, counts_arrivals=True, ends_after_arrival=not told.is_instant)
    if window <= 0 or (ends_in is not None and ends_in > window + 2.0):
        return None  # of another unit than seconds, or of another window
    reading = Reading("requests", remaining, limit, window, window)
    if window > SHORT_WINDOW:  # one of hours is known by nothing else that we keep
        return reading if window >= DAY / 2 else None
    if ends_in is None or (told.is_instant and window < _SHORTEST):
        return reading
    return replace(
        reading,
        ends_in=min(ends_in, window),
        counts_arrivals=True,
        ends_after_arrival=not told.is_instant,
    )


def _policies(text: str) -> dict[str, tuple[float | None, float | None]]:
    """Return the limit and the window of each policy, by its name, or else by its limit."""
    policies: dict[str, tuple[float | None, float | None]] = {}
    for name, parameters in _items(text):
        if parameters.get("qu", "requests").strip('"') != "requests":
            continue
        limit = parse_amount(parameters.get("q")) if "q" in parameters else parse_amount(name)
        policies[name] = (limit, parse_amount(parameters.get("w")))
    return policies


def _items(text: str) -> list[tuple[str, dict[str, str]]]:
    """Return the names and parameters of a list: ``"a";q=1;w=2, "b";q=3;w=4``."""
    items = []
    for part in text[:_LONGEST].split(",")[:_MOST]:
        match = _ITEM.fullmatch(part.rstrip())
        if match is None:
            continue
        name = match[1] if match[1] is not None else match[2] or ""
        items.append((name, dict(_PARAMETER.findall(match[3]))))
    return items


def _of_field(text: str, policies: Mapping[str, tuple[float | None, float | None]]) -> list[_Told]:
    """Return what the one field says: ``"default";r=50;t=30``, or ``limit=…, remaining=…``."""
    if not text:
        return []
    pairs = dict(_PAIR.findall(text[:_LONGEST]))
    if "remaining" in pairs:
        limit, remaining = parse_amount(pairs.get("limit")), parse_amount(pairs["remaining"])
        if remaining is None:
            return []
        ends_in = parse_amount(pairs.get("reset"))
        return [_Told(limit, remaining, ends_in, _window_of(limit, policies))]
    found = []
    for name, parameters in _items(text):
        remaining = parse_amount(parameters.get("r"))
        if remaining is None or (policies and name not in policies):
            continue
        limit, window = policies.get(name, (None, None))
        found.append(_Told(limit, remaining, parse_amount(parameters.get("t")), window))
    return found


def _of_fields(
    headers: Mapping[str, str], policies: Mapping[str, tuple[float | None, float | None]]
) -> list[_Told]:
    """Return what the three fields say: of the first prefix that has them."""
    for prefix in _PREFIXES:
        remaining = parse_amount(headers.get(f"{prefix}remaining"))
        if remaining is None:
            continue
        text = headers.get(f"{prefix}limit", "")
        limit = parse_amount(text)
        if limit is None and ";" in text:  # "100, 100;w=10"
            limit = parse_amount(text.partition(",")[0])
            policies = {**_policies(text.partition(",")[2]), **policies}
        ends_in, is_instant = _until(headers.get(f"{prefix}reset", ""), headers)
        return [_Told(limit, remaining, ends_in, _window_of(limit, policies), is_instant)]
    return []


def _until(text: str, headers: Mapping[str, str]) -> tuple[float | None, bool]:
    """Return the seconds to a reset, and whether it is an instant rather than a duration."""
    text = once(text)
    duration = parse_duration(text) if ":" not in text else None
    if duration is not None and duration < EPOCH:
        return duration, False
    gap = seconds_until(text, headers) if text else None
    return (gap if gap is not None and gap >= 0 else None), True


def _window_of(
    limit: float | None, policies: Mapping[str, tuple[float | None, float | None]]
) -> float | None:
    """Return the window of the only policy with *limit*."""
    windows = {window for told, window in policies.values() if told == limit}
    return windows.pop() if len(windows) == 1 else None
