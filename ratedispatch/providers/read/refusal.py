"""
What a refusal says about the limit that it is for.

Pure. Decides which limit is meant and how large and how full it is: by the error's type, by
structured details, and last by the numbers in its text. Decides nothing about what to do.
Follows: messages of OpenAI, Groq, Azure, Anthropic and LiteLLM as quoted in public issue threads
and in Anthropic's documentation of rate limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.limits import DAY, MINUTE, Reading
from ratedispatch.providers import gemini, openrouter
from ratedispatch.providers.read.amounts import parse_amount
from ratedispatch.providers.read.error_body import read_error
from ratedispatch.providers.read.headers import strictest

if TYPE_CHECKING:
    from ratedispatch.outcome import Response
    from ratedispatch.providers.read.error_body import ErrorBody

_NUMBER = r"([0-9][0-9,]{0,19})"

#: "on tokens per min (TPM)", "40,000 input tokens per minute", "requests per day".
_LIMIT_NAME = re.compile(
    rf"(?:{_NUMBER} )?\b(?:(input|output) )?(token|request)s? per (second|min|minute|day)\b",
    re.IGNORECASE,
)
_WINDOWS = {"second": 1.0, "min": MINUTE, "minute": MINUTE, "day": DAY}
_LIMIT = re.compile(rf"\bLimit:? {_NUMBER}")
_USED = re.compile(rf"\bUsed:? {_NUMBER}")
_REQUESTED = re.compile(rf"\bRequested:? {_NUMBER}")

#: Azure: "have exceeded token rate limit of your current … pricing tier".
_AZURE = re.compile(r"exceeded (token|call) rate limit")
_AZURE_DIMENSIONS = {"token": "tokens", "call": "requests"}

#: LiteLLM: "Limit type: tokens. Current limit: 200, Remaining: 0."
_LITELLM = re.compile(
    rf"Limit type: (tokens|requests)\. Current limit: {_NUMBER}, Remaining: {_NUMBER}"
)


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


def read_refusal(error: ErrorBody) -> Refusal:
    """Return the numbers in the text of *error*."""
    text = error.text
    if match := _LITELLM.search(text):
        return Refusal(match[1], MINUTE, _number(match[2]), _number(match[3]))
    if match := _AZURE.search(text):
        return Refusal(_AZURE_DIMENSIONS[match[1]])
    limit, used, requested = (_search(part, text) for part in (_LIMIT, _USED, _REQUESTED))
    remaining = max(0.0, limit - used) if limit is not None and used is not None else None
    name = _LIMIT_NAME.search(text)
    if name is None:
        return Refusal(None, None, limit, remaining, requested)
    dimension = f"{name[3].lower()}s"
    if name[2]:
        dimension = f"{name[2].lower()}_{dimension}"
    if limit is None and name[1]:
        limit = _number(name[1])
    return Refusal(dimension, _WINDOWS[name[4].lower()], limit, remaining, requested)


def dimension_of(error: ErrorBody, refusal: Refusal) -> str | None:
    """Return which limit refused: by the type of *error*, its details, its text."""
    if error.kind in {"tokens", "requests"}:
        return error.kind
    quotas = gemini.read_quotas(error)
    return quotas[0].dimension if quotas else refusal.dimension


def read_refused_limits(response: Response) -> tuple[Reading, ...]:
    """Return what the body of a refusal says about the buckets that refused."""
    error = read_error(response)
    readings = [*openrouter.read_limits(error, response.headers), *gemini.read_quotas(error)]
    refusal = read_refusal(error)
    # a limit of zero is as unknown as in a header
    limit = refusal.limit or None
    if refusal.dimension is not None and limit is not None:
        window = refusal.window
        readings.append(
            Reading(refusal.dimension, refusal.remaining, limit, window, window or MINUTE)
        )
    return strictest([reading for reading in readings if reading.limit is not None])


def _search(part: re.Pattern[str], text: str) -> float | None:
    match = part.search(text)
    return _number(match[1]) if match else None


def _number(text: str) -> float | None:
    return parse_amount(text.replace(",", ""))
