"""
OpenRouter.

Its limits mostly stand in the ``metadata`` of an error, under the names of headers, and not in the
headers.
Sources: bodies of refusals in public issue threads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratedispatch.limits import DAY, MINUTE
from ratedispatch.outcome import Decision
from ratedispatch.providers.base import Profile
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read.headers import HeaderNames, read_headers
from ratedispatch.providers.read.instants import seconds_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.limits import Reading
    from ratedispatch.providers.read.error_body import ErrorBody
    from ratedispatch.providers.read.headers import HeaderTable

_RESET = "x-ratelimit-reset"

#: Names without a dimension, as web APIs at large have them: requests, in a window of any length.
HEADERS: HeaderTable = (
    HeaderNames("requests", "x-ratelimit-remaining", "x-ratelimit-limit", _RESET),
)


def _refused_limits(error: ErrorBody, headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    The readings inside *error*; *headers* are those of the answer, for its ``date``.

    The window is the one in the message (``free-models-per-day``, ``free-models-per-min``),
    otherwise the one that the time to the reset tells.
    """
    inner = _headers(error)
    if not inner:
        return ()
    readings = read_headers(HEADERS, {**inner, "date": headers.get("date", "")})
    named = DAY if _is_day_limit(error) else MINUTE if "per-min" in error.text else None
    return tuple(replace(reading, window=named) for reading in readings) if named else readings


def _reset_delay(error: ErrorBody, headers: Mapping[str, str]) -> float | None:
    reset = _headers(error).get(_RESET, "")
    gap = seconds_until(reset, headers) if reset else None
    return None if gap is None else max(0.0, gap)


def _is_day_limit(error: ErrorBody) -> bool:
    """Whether the cap of a day on free models refused."""
    source = _metadata(error).get("limit_source")
    return (isinstance(source, str) and source.endswith("daily")) or (
        "free-models-per-day" in error.text
    )


def _classify(status: int, error: ErrorBody) -> tuple[Decision, str] | None:
    if status == 429 and _is_day_limit(error):
        return Decision.DAY_LIMIT, "day_limit"
    # the key has reached its own limit, or a moderation refused the input: no code tells
    if status == 403 and error.message.startswith("Key limit exceeded"):
        return Decision.STOP, "quota"
    if status == 403 and "flagged_input" in _metadata(error):
        return Decision.FAIL, "flagged_input"
    return None


def _metadata(error: ErrorBody) -> Mapping[str, Any]:
    metadata = error.fields.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _headers(error: ErrorBody) -> dict[str, str]:
    headers = _metadata(error).get("headers")
    if not isinstance(headers, dict):
        return {}
    return {
        name.lower(): text if isinstance(text, str) else repr(text)
        for name, text in headers.items()
        if isinstance(name, str) and (isinstance(text, str | float) or _is_short(text))
    }


def _is_short(value: object) -> bool:
    """Whether *value* is an integer that Python writes out."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18


_QUIRKS = Quirks(classify=_classify, refused_limits=_refused_limits, reset_delay=_reset_delay)

PROFILE = Profile("openrouter", ("openrouter.ai",), HEADERS, quirks=_QUIRKS)
