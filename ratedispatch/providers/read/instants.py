"""
Instants as providers write them, and how far ahead they lie.

Pure. Reads RFC 3339, HTTP dates and seconds or milliseconds since 1970 into seconds since 1970.
Never reads a clock: what is "now" is the ``date`` of the same answer, so that it does not matter
whether the two machines agree on the time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ratedispatch.providers.read.amounts import once, parse_amount

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds since 1970 from which on a bare number is an instant and not a duration: 2001.
EPOCH = 1e9

#: From here on it counts milliseconds: as seconds it would be the year 5138.
_EPOCH_MS = 1e11


def seconds_until(text: str, headers: Mapping[str, str]) -> float | None:
    """
    Return the seconds from the answer's own ``date`` to the instant *text*, negative if past.

    Both are written in whole seconds as a rule, so the result is off by up to one second either
    way. ``None`` if either cannot be read.
    """
    now = parse_http_date(headers.get("date", ""))
    then = parse_instant(text)
    return None if now is None or then is None else then - now


def parse_instant(text: str) -> float | None:
    """Return the seconds since 1970 of *text* in any of the formats; ``None`` if in none."""
    number = parse_amount(text) if ":" not in text else None
    if number is not None:
        if number < EPOCH:
            return None
        return number / 1000 if number >= _EPOCH_MS else number
    text = text.strip()
    if text.endswith(" UTC"):  # how LiteLLM formats its reset_at
        text = f"{text[:-4]}+00:00"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return parse_http_date(text)
    # without an offset it is anybody's guess which hour is meant
    return instant.timestamp() if instant.tzinfo is not None else None


@lru_cache(maxsize=16)
def parse_http_date(text: str) -> float | None:
    """
    Return the seconds since 1970 of an HTTP date; ``None`` if *text* is not one.

    Remembered, because all answers of a second carry the same one.
    """
    if not text:
        return None
    try:
        instant = parsedate_to_datetime(once(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
