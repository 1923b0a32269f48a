"""
OpenAI, whose names and codes most servers use.

Sources: OpenAI's guides "Rate limits" (also for the charge: "based on the character count of your
request") and "Error codes"; the response headers printed in public workshops, which fit
characters / 4 + 2 per message + output cap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision
from ratedispatch.providers.base import Profile
from ratedispatch.providers.charge import ChargePolicy
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read.headers import x_ratelimit

if TYPE_CHECKING:
    from ratedispatch.providers.read.error_body import ErrorBody
    from ratedispatch.providers.read.headers import HeaderTable

#: Whether the charge is later corrected is not documented, so it is not assumed.
CHARGE = ChargePolicy("openai", characters_per_token=4, tokens_per_message=2)

#: The limit of a project on tokens.
PROJECT_TOKENS = x_ratelimit("tokens", "project-tokens", has_reset=True)

#: The names say nothing about the window: where an account has a limit per day, they may describe
#: that one.
HEADERS: HeaderTable = (
    x_ratelimit("requests", has_reset=True),
    x_ratelimit("tokens", has_reset=True),
    PROJECT_TOKENS,
)


def _classify(status: int, error: ErrorBody) -> tuple[Decision, str] | None:
    if status == 503 and "slow down" in error.text.lower():
        return Decision.OVERLOADED, "slow_down"
    return None


_QUIRKS = Quirks(
    # "retrying billing, spend or quota errors won't restore access"
    quota_codes=frozenset(
        {
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            "billing_not_active",
            "access_terminated",
        }
    ),
    statuses={"rate_limit_exceeded": 429, "server_error": 500},
    classify=_classify,
)

PROFILE = Profile("openai", ("api.openai.com",), HEADERS, CHARGE, _QUIRKS)
