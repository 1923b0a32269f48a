"""
What Google puts into the ``details`` of an error.

Pure. Reads which quota refused and the wait asked for; decides nothing about them.
Follows: google.rpc's ``QuotaFailure``, ``ErrorInfo`` and ``RetryInfo``, and the bodies of Gemini's
refusals in public issue threads, where ``quotaId`` alone tells a day from a minute
(``GenerateRequestsPerDayPerProjectPerModel-FreeTier``) and the delay does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.limits import DAY, MINUTE, Reading
from ratedispatch.providers.read.amounts import parse_amount
from ratedispatch.providers.read.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ratedispatch.providers.read.error_body import ErrorBody

#: In quota names without case and separators; the more particular first.
_DIMENSIONS = (
    ("inputtoken", "input_tokens"),
    ("outputtoken", "output_tokens"),
    ("token", "tokens"),
    ("request", "requests"),
)
_WINDOWS = (("perday", DAY), ("perminute", MINUTE))


def read_quotas(error: ErrorBody) -> tuple[Reading, ...]:
    """Return the quotas that *error* names as exceeded: their limits, not what remains."""
    readings = []
    for name, value in _quotas(error):
        dimension = next((known for part, known in _DIMENSIONS if part in name), None)
        if dimension is not None:
            window = next((seconds for part, seconds in _WINDOWS if part in name), None)
            limit = parse_amount(value) or None
            readings.append(Reading(dimension, None, limit, window, window or MINUTE))
    return tuple(readings)


def is_day_limit(error: ErrorBody) -> bool:
    """Return whether a quota of a day refused; the delay beside it is of seconds all the same."""
    return any("perday" in name for name, _ in _quotas(error))


def read_retry_delay(error: ErrorBody) -> float | None:
    """Return the seconds of ``RetryInfo``; ``None`` without one."""
    for detail in error.details():
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (seconds := parse_duration(delay)) is not None:
            return seconds
    return None


def is_wrong_key(error: ErrorBody) -> bool:
    """Return whether the key was refused, which Google says with status 400."""
    return any(detail.get("reason") == "API_KEY_INVALID" for detail in error.details())


def _quotas(error: ErrorBody) -> Iterator[tuple[str, str | None]]:
    """The names of the quotas as `_plain` has them, with the values of those that have one."""
    for detail in error.details():
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict):
                # the id has the window, the metric of some quotas the dimension
                names = (_text(violation, "quotaId"), _text(violation, "quotaMetric"))
                yield _plain(" ".join(filter(None, names))), _text(violation, "quotaValue")
        metadata = detail.get("metadata")
        if isinstance(metadata, dict) and (name := _text(metadata, "quota_limit")):
            yield _plain(name), _text(metadata, "quota_limit_value")


def _plain(name: str) -> str:
    """*name* without case and separators: ``PerDay`` and ``per_day`` are the same."""
    return name.lower().replace("_", "").replace(" ", "").replace("-", "")


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None
