"""
LiteLLM's proxy, which has no host of its own.

It is known by the names of its headers, and passes on those of the provider behind it beside its
own.
Follows: LiteLLM 1.109, the limiters "v1" (OpenAI's names, no reset) and "v3" (one pair of names
for each key, user, team, … that is limited).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ratedispatch.limits import MINUTE, Reading
from ratedispatch.providers import anthropic, cerebras, fireworks, mistral, together
from ratedispatch.providers.base import Profile
from ratedispatch.providers.openai import PROJECT_TOKENS
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read.amounts import parse_amount
from ratedispatch.providers.read.headers import read_headers, strictest, x_ratelimit
from ratedispatch.providers.read.instants import parse_http_date, seconds_until
from ratedispatch.providers.read.refusal import NUMBER, Refusal, parse_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.providers.read.error_body import ErrorBody
    from ratedispatch.providers.read.headers import HeaderTable

#: Headers that every answer of the proxy has one of.
SIGNS = ("x-litellm-call-id", "x-litellm-version", "x-litellm-model-id")

#: OpenAI's names. Its own limits are per minute (``LITELLM_RATE_LIMIT_WINDOW_SIZE``, 60 by default)
#: and come without a reset; what it passes on may have one.
HEADERS: HeaderTable = (
    x_ratelimit("requests", window=MINUTE, has_reset=True, has_period=True),
    x_ratelimit("tokens", window=MINUTE, has_reset=True, has_period=True),
)

#: Headers with unique names, which mean the same on any host.
_UNMISTAKABLE: HeaderTable = (
    PROJECT_TOKENS,
    *anthropic.OWN_HEADERS,
    *mistral.HEADERS,
    *cerebras.HEADERS,
    *fireworks.TOKENS,
    *together.TOKENS,
)

#: Headers that show that there is more to read than OpenAI's names.
_OTHER_NAMES = frozenset(name for names in _UNMISTAKABLE for name in (names.remaining, names.limit))

#: Those that are like names with a descriptor, but have none.
_OPENAI_NAMES = frozenset(
    name for names in HEADERS for name in (names.remaining, names.limit, names.reset)
)

_PREFIX = "x-ratelimit-"
_ENDINGS = {
    f"-{what}-{dimension}": dimension
    for what in ("remaining", "limit")
    for dimension in ("requests", "tokens")
}

#: "Limit type: tokens. Current limit: 200, Remaining: 0."
_REFUSED = re.compile(
    rf"Limit type: (tokens|requests)\. Current limit: {NUMBER}, Remaining: {NUMBER}"
)

#: "Limit resets at: 2026-05-31 10:04:41 UTC".
_RESETS_AT = re.compile(r"resets at: ([0-9: T-]{16,24}(?:UTC|Z))")


#: "Model rate limit exceeded. RPM limit=600, current usage=601", with "retry-after: 60".
_OF_A_MODEL = re.compile(r"[RT]PM limit=\d+, current usage=\d+")

#: Seconds that are sure to be in the next minute.
_MARGIN = 0.1


def read_gateway(table: HeaderTable, headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """Return the readings of *table*, and those under names that any host may pass on."""
    readings = read_headers(table, headers)
    others = () if _OTHER_NAMES.isdisjoint(headers) else read_headers(_UNMISTAKABLE, headers)
    described = _read_descriptors(headers)
    return strictest((*readings, *others, *described)) if others or described else readings


def read_proxy(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return the readings of an answer of the proxy.

    What comes under OpenAI's names and without a reset is its own: a counter of the clock minute,
    by the clock that the ``date`` tells (``strftime("%H-%M")`` in its router and in "v1").
    """
    readings = read_gateway(HEADERS, headers)
    ends_in = _minute_left(headers)
    if ends_in is None:
        return readings
    return tuple(
        [
            replace(told, ends_in=ends_in)
            if told.window == MINUTE and _is_own(told.dimension, headers)
            else told
            for told in readings
        ]
    )


def _is_own(dimension: str, headers: Mapping[str, str]) -> bool:
    name = f"{_PREFIX}remaining-{dimension}"
    return name in headers and f"{_PREFIX}reset-{dimension}" not in headers


def _minute_left(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to the end of the proxy's clock minute."""
    now = parse_http_date(headers.get("date", ""))
    return None if now is None else MINUTE - now % MINUTE


def _read_descriptors(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return the strictest of the readings under names with a descriptor.

    ``x-ratelimit-{descriptor}-remaining-tokens``: the descriptor varies, so no table has it.
    """
    readings = []
    for name in headers:
        if not name.startswith(_PREFIX) or name in _OPENAI_NAMES:
            continue
        for ending, dimension in _ENDINGS.items():
            if name.endswith(ending):
                stem = name[: -len(ending)]
                remaining = parse_amount(headers.get(f"{stem}-remaining-{dimension}"))
                limit = parse_amount(headers.get(f"{stem}-limit-{dimension}")) or None
                if remaining is not None or limit is not None:
                    readings.append(Reading(dimension, remaining, limit, MINUTE))
    return strictest(readings)


def _read_refusal(text: str) -> Refusal | None:
    match = _REFUSED.search(text)
    if match is None:
        return None
    return Refusal(match[1], MINUTE, parse_number(match[2]), parse_number(match[3]))


def _until_reset(error: ErrorBody, headers: Mapping[str, str]) -> float | None:
    text = headers.get("reset_at", "")
    if not text:
        match = _RESETS_AT.search(error.text)
        text = match[1] if match else ""
    gap = seconds_until(text, headers) if text else None
    # both are cut to whole seconds: one more is sure to be after the reset. One that is past is
    # the time of another zone
    return gap + 1.0 if gap is not None and gap >= 0 else None


def _window_end(error: ErrorBody, headers: Mapping[str, str]) -> float | None:
    """Return the seconds until what has refused starts over: of a limit on a model, the minute."""
    end = _until_reset(error, headers)
    if end is not None or not _OF_A_MODEL.search(error.text):
        return end
    left = _minute_left(headers)
    return None if left is None else left + _MARGIN


_QUIRKS = Quirks(
    quota_codes=frozenset({"budget_exceeded"}),
    read_refusal=_read_refusal,
    reset_delay=_until_reset,
    window_end=_window_end,
    retry_after=("llm_provider-retry-after",),  # what the provider behind it has sent
)

PROFILE = Profile("litellm", headers=HEADERS, quirks=_QUIRKS, read_headers=read_proxy)
