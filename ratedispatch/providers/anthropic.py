"""
Anthropic, with its own endpoint and the one in OpenAI's format.

Sources: platform.claude.com/docs/en/api/rate-limits and its page of error codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.limits import MINUTE
from ratedispatch.providers.base import Profile
from ratedispatch.providers.charge import ChargePolicy
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read.headers import HeaderNames, x_ratelimit

if TYPE_CHECKING:
    from ratedispatch.providers.read.headers import HeaderTable

#: Input is estimated and corrected, "max_tokens does not factor in".
CHARGE = ChargePolicy("anthropic", output_up_front=False, refunds=True)


def _names(dimension: str) -> HeaderNames:
    prefix = f"anthropic-ratelimit-{dimension.replace('_', '-')}"
    return HeaderNames(
        dimension, f"{prefix}-remaining", f"{prefix}-limit", f"{prefix}-reset", window=MINUTE
    )


#: The names of its own endpoint. All limits are per minute.
OWN_HEADERS: HeaderTable = tuple(
    map(_names, ("requests", "tokens", "input_tokens", "output_tokens"))
)

#: The endpoint in OpenAI's format sends OpenAI's names; how it writes a reset is not documented.
HEADERS: HeaderTable = (
    *OWN_HEADERS,
    x_ratelimit("requests", window=MINUTE, has_reset=True),
    x_ratelimit("tokens", window=MINUTE, has_reset=True),
)

_QUIRKS = Quirks(
    quota_codes=frozenset({"billing_error"}),
    # comes with status 400 and the code of any other invalid request
    quota_texts=("credit balance is too low to access",),
    statuses={"rate_limit_error": 429, "api_error": 500, "overloaded_error": 529},
)

PROFILE = Profile("anthropic", ("api.anthropic.com",), HEADERS, CHARGE, _QUIRKS)
