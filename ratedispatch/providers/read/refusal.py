"""
What a refusal says about the limit that it is for.

Finds the limit, how large and how full it is: by the type of the error, by structured details, and
last by the numbers in its text. Decides nothing about what to do.
Follows: messages quoted in public issue threads and in documentation of rate limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.limits import DAY, MINUTE, Reading
from ratedispatch.providers.read.amounts import parse_amount
from ratedispatch.providers.read.headers import strictest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.providers.quirks import Quirks
    from ratedispatch.providers.read.error_body import ErrorBody

#: An amount in a text, with or without commas.
NUMBER = r"([0-9][0-9,]{0,19})"

#: "on tokens per min (TPM)", "40,000 input tokens per minute", "requests per day".
_LIMIT_NAME = re.compile(
    rf"(?:{NUMBER} )?\b(?:(input|output) )?(token|request)s? per (second|min|minute|day)\b",
    re.IGNORECASE,
)
_WINDOWS = {"second": 1.0, "min": MINUTE, "minute": MINUTE, "day": DAY}
_LIMIT = re.compile(rf"\bLimit:? {NUMBER}")
_USED = re.compile(rf"\bUsed:? {NUMBER}")
_REQUESTED = re.compile(rf"\bRequested:? {NUMBER}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    The numbers in the text of a refusal; ``None`` for what it does not say.

    Args:
        dimension: Which limit it is for, as `Reading` names it.
        window: Seconds that the limit is given for.
        limit: The most the bucket holds.
        remaining: What was left in it.
        requested: What the request would have taken.
    """

    dimension: str | None = None
    window: float | None = None
    limit: float | None = None
    remaining: float | None = None
    requested: float | None = None

    @property
    def is_hopeless(self) -> bool:
        """Whether the request is larger than the whole bucket."""
        # a limit of 0 is what a server says that has none, or none that it knows
        return self.requested is not None and 0 < (self.limit or 0) < self.requested


def read_refusal(error: ErrorBody, quirks: Sequence[Quirks]) -> Refusal:
    """Return the numbers in the text of *error*."""
    text = error.text
    for quirk in quirks:
        found = quirk.read_refusal(text)
        if found is not None:
            return found
    limit, used, requested = (_search(part, text) for part in (_LIMIT, _USED, _REQUESTED))
    remaining = max(0.0, limit - used) if limit is not None and used is not None else None
    name = _LIMIT_NAME.search(text)
    if name is None:
        return Refusal(None, None, limit, remaining, requested)
    dimension = f"{name[3].lower()}s"
    if name[2]:
        dimension = f"{name[2].lower()}_{dimension}"
    if limit is None and name[1]:
        limit = parse_number(name[1])
    return Refusal(dimension, _WINDOWS[name[4].lower()], limit, remaining, requested)


def dimension_of(error: ErrorBody, refusal: Refusal, quirks: Sequence[Quirks]) -> str | None:
    """Return which limit refused: by the type of *error*, its details, its text."""
    if error.kind in {"tokens", "requests"}:
        return error.kind
    for quirk in quirks:
        dimension = quirk.refused_dimension(error)
        if dimension is not None:
            return dimension
    return refusal.dimension


def with_refused(
    readings: tuple[Reading, ...],
    error: ErrorBody,
    refusal: Refusal,
    headers: Mapping[str, str],
    quirks: Sequence[Quirks],
) -> tuple[Reading, ...]:
    """Return the *readings* of the headers, and those of the body for other buckets."""
    told = {reading.bucket for reading in readings}
    refused = _refused_limits(error, refusal, headers, quirks)
    return (*readings, *(reading for reading in refused if reading.bucket not in told))


def _refused_limits(
    error: ErrorBody, refusal: Refusal, headers: Mapping[str, str], quirks: Sequence[Quirks]
) -> tuple[Reading, ...]:
    readings = [reading for quirk in quirks for reading in quirk.refused_limits(error, headers)]
    # a limit of zero is as unknown as in a header
    limit = refusal.limit or None
    if refusal.dimension is not None and limit is not None:
        window = refusal.window
        readings.append(
            Reading(refusal.dimension, refusal.remaining, limit, window, window or MINUTE)
        )
    return strictest([reading for reading in readings if reading.limit is not None])


def parse_number(text: str) -> float | None:
    """Return the number that *text*, found by `NUMBER`, names; ``None`` beyond what is believed."""
    return parse_amount(text.replace(",", ""))


def _search(part: re.Pattern[str], text: str) -> float | None:
    match = part.search(text)
    return parse_number(match[1]) if match else None
