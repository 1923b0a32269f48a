"""
How long a server asks to wait.

Pure. Reads headers first, then what the body says in fields, then its text. Adds nothing of its
own: jitter and backoff are the business of whoever waits.
Follows: the order in which the openai SDK reads ``retry-after-ms`` and ``retry-after``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ratedispatch.providers import gemini, openrouter
from ratedispatch.providers.read.amounts import parse_amount
from ratedispatch.providers.read.durations import parse_duration
from ratedispatch.providers.read.error_body import read_error
from ratedispatch.providers.read.instants import EPOCH, seconds_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.outcome import Response
    from ratedispatch.providers.read.error_body import ErrorBody

#: OpenAI "try again in 7m12s", Azure "retry after 34 seconds", Gemini "retry in 36.4s".
_TRY_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) ([0-9.][0-9.a-zµμ]*)(?: ([a-z]+))?", re.IGNORECASE
)
_UNITS = {"millisecond": 1e-3, "second": 1.0, "sec": 1.0, "minute": 60.0, "hour": 3600.0}

#: LiteLLM: "Limit resets at: 2026-05-31 10:04:41 UTC".
_RESETS_AT = re.compile(r"resets at: ([0-9: T-]{16,24}(?:UTC|Z))")


def read_delay(response: Response) -> float | None:
    """
    Return the seconds that *response* asks to wait at least; ``None`` if it does not.

    Milliseconds before seconds before a date before the body, as the openai SDK reads them.
    A date, or a point in seconds since 1970, is taken against the server's own ``Date``, so no
    clock is read here.
    """
    headers = response.headers
    milliseconds = parse_amount(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    error = read_error(response)
    # the second name is that under which LiteLLM passes on the header of what stands behind it
    after = headers.get("retry-after") or headers.get("llm_provider-retry-after", "")
    seconds = parse_duration(after)
    if seconds is not None and seconds < EPOCH:
        # LiteLLM's is always the whole window; beside it stands when that ends
        ends = _until_reset(error, headers)
        return seconds if ends is None or ends > seconds else ends
    if after and (gap := seconds_until(after, headers)) is not None:
        return max(0.0, gap)
    for delay in (
        gemini.read_retry_delay(error),
        _read_text(error.text),
        _until_reset(error, headers),
        openrouter.read_delay(error, headers),
    ):
        if delay is not None:
            return delay
    return None


def _read_text(text: str) -> float | None:
    match = _TRY_AGAIN.search(text)
    if match is None:
        return None
    number = match[1].rstrip(".")
    unit = (match[2] or "").lower().removesuffix("s")
    bare = parse_amount(number)
    return parse_duration(number) if bare is None else bare * _UNITS.get(unit, 1.0)


def _until_reset(error: ErrorBody, headers: Mapping[str, str]) -> float | None:
    text = headers.get("reset_at", "")
    if not text:
        match = _RESETS_AT.search(error.text)
        text = match[1] if match else ""
    gap = seconds_until(text, headers) if text else None
    # both are cut to whole seconds: one more is sure to be after the reset. One that is past is
    # the time of another zone
    return gap + 1.0 if gap is not None and gap >= 0 else None
