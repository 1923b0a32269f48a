"""
What OpenRouter puts into the ``metadata`` of an error.

Pure. Its limits stand there, under the names of headers, and not in the headers.
Follows: bodies of refusals in public issue threads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratedispatch.limits import DAY, MINUTE
from ratedispatch.providers.read.headers import read_table
from ratedispatch.providers.read.instants import seconds_until
from ratedispatch.providers.tables import BARE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.limits import Reading
    from ratedispatch.providers.read.error_body import ErrorBody

_RESET = "x-ratelimit-reset"


def read_limits(error: ErrorBody, headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return the readings inside *error*; *headers* are those of the answer, for its ``date``.

    The window is what the message names (``free-models-per-day``, ``free-models-per-min``),
    otherwise what the time to the reset tells.
    """
    inner = _headers(error)
    if not inner:
        return ()
    readings = read_table(BARE, {**inner, "date": headers.get("date", "")})
    named = DAY if is_day_limit(error) else MINUTE if "per-min" in error.text else None
    return tuple(replace(reading, window=named) for reading in readings) if named else readings


def read_delay(error: ErrorBody, headers: Mapping[str, str]) -> float | None:
    """Return the seconds to the reset that *error* has, at least 0; ``None`` if it has none."""
    reset = _headers(error).get(_RESET, "")
    gap = seconds_until(reset, headers) if reset else None
    return None if gap is None else max(0.0, gap)


def is_day_limit(error: ErrorBody) -> bool:
    """Return whether the cap of a day on free models refused."""
    source = _metadata(error).get("limit_source")
    return (isinstance(source, str) and source.endswith("daily")) or (
        "free-models-per-day" in error.text
    )


def is_key_spent(error: ErrorBody) -> bool:
    """Return whether the key has reached its own limit, said with status 403 and no other code."""
    return error.message.startswith("Key limit exceeded")


def is_flagged(error: ErrorBody) -> bool:
    """Return whether a moderation refused the input, which OpenRouter says with status 403."""
    return "flagged_input" in _metadata(error)


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
