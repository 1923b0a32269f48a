"""
Gemini, at Google's endpoint in OpenAI's format.

Sends no headers about its limits: what is known stands in the ``details`` of its errors, which say
the quota that refused and the wait.
Sources: Google's page of error codes; google.rpc's ``QuotaFailure``, ``ErrorInfo`` and
``RetryInfo``; the bodies of Gemini's refusals in public issue threads, where ``quotaId`` alone
tells a day from a minute (``GenerateRequestsPerDayPerProjectPerModel-FreeTier``) and the delay
does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.limits import DAY, MINUTE, Reading
from ratedispatch.outcome import Decision
from ratedispatch.providers.base import Profile
from ratedispatch.providers.charge import ChargePolicy
from ratedispatch.providers.quirks import Quirks
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


def _read_quotas(error: ErrorBody) -> list[Reading]:
    """The quotas that *error* names as exceeded: their limits, not what remains."""
    readings = []
    for name, value in _quotas(error):
        dimension = next((known for part, known in _DIMENSIONS if part in name), None)
        if dimension is not None:
            window = next((seconds for part, seconds in _WINDOWS if part in name), None)
            limit = parse_amount(value) or None
            readings.append(Reading(dimension, None, limit, window, window or MINUTE))
    return readings


def _refused_limits(error: ErrorBody, _: Mapping[str, str]) -> tuple[Reading, ...]:
    return tuple(_read_quotas(error))


def _refused_dimension(error: ErrorBody) -> str | None:
    quotas = _read_quotas(error)
    return quotas[0].dimension if quotas else None


def _classify(status: int, error: ErrorBody) -> tuple[Decision, str] | None:
    if status == 429 and any("perday" in name for name, _ in _quotas(error)):
        return Decision.DAY_LIMIT, "day_limit"  # the delay beside it is of seconds all the same
    if status == 400 and any(
        detail.get("reason") == "API_KEY_INVALID" for detail in _details(error)
    ):
        return Decision.STOP, "authentication"
    return None


def _retry_delay(error: ErrorBody) -> float | None:
    for detail in _details(error):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (seconds := parse_duration(delay)) is not None:
            return seconds
    return None


def _details(error: ErrorBody) -> Iterator[Mapping[str, Any]]:
    details = error.fields.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield detail


def _quotas(error: ErrorBody) -> Iterator[tuple[str, str | None]]:
    """The names of the quotas as `_plain` has them, with the values of those that have one."""
    for detail in _details(error):
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


#: The limit is one of input tokens.
CHARGE = ChargePolicy("gemini", output_up_front=False)

_QUIRKS = Quirks(
    classify=_classify,
    refused_dimension=_refused_dimension,
    refused_limits=_refused_limits,
    delay=_retry_delay,
)

PROFILE = Profile("gemini", ("generativelanguage.googleapis.com",), charge=CHARGE, quirks=_QUIRKS)
