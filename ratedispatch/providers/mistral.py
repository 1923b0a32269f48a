"""Mistral. Sources: headers in public issue threads; limits per month are not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.limits import MINUTE
from ratedispatch.providers.base import Profile
from ratedispatch.providers.charge import ChargePolicy
from ratedispatch.providers.read.headers import HeaderNames, x_ratelimit

if TYPE_CHECKING:
    from ratedispatch.providers.read.headers import HeaderTable

#: Charged with the actual total; the cap is reserved so that the queue cannot overshoot.
CHARGE = ChargePolicy("mistral", refunds=True)

HEADERS: HeaderTable = (
    x_ratelimit("requests", "req-minute", window=MINUTE),
    x_ratelimit("tokens", "tokens-minute", window=MINUTE),
    HeaderNames(
        "tokens",
        "x-ratelimitbysize-remaining-minute",
        "x-ratelimitbysize-limit-minute",
        window=MINUTE,
    ),
    HeaderNames("tokens", "ratelimitbysize-remaining", "ratelimitbysize-limit", window=MINUTE),
)

PROFILE = Profile("mistral", ("api.mistral.ai",), HEADERS, CHARGE)
