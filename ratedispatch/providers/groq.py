"""Groq. Source: console.groq.com/docs/rate-limits; refusals in public issue threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.limits import DAY, MINUTE
from ratedispatch.outcome import Decision
from ratedispatch.providers.base import Profile
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read.headers import x_ratelimit

if TYPE_CHECKING:
    from ratedispatch.providers.read.error_body import ErrorBody
    from ratedispatch.providers.read.headers import HeaderTable

#: Requests "always" per day, tokens "always" per minute.
HEADERS: HeaderTable = (
    x_ratelimit("requests", window=DAY),
    x_ratelimit("tokens", window=MINUTE),
)


def _classify(status: int, error: ErrorBody) -> tuple[Decision, str] | None:
    # says with 413 what others say with 429: a request larger than its limit
    if status == 413 and error.code == "rate_limit_exceeded":
        return Decision.FAIL, "request_too_large"
    return None


PROFILE = Profile("groq", ("api.groq.com",), HEADERS, quirks=Quirks(classify=_classify))
