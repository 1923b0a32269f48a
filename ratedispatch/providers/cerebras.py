"""Cerebras. Source: inference-docs.cerebras.ai, "Rate limits"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.limits import DAY, MINUTE
from ratedispatch.providers.base import Profile
from ratedispatch.providers.read.headers import x_ratelimit

if TYPE_CHECKING:
    from ratedispatch.providers.read.headers import HeaderTable

HEADERS: HeaderTable = (
    x_ratelimit("requests", "requests-day", window=DAY),
    x_ratelimit("tokens", "tokens-minute", window=MINUTE),
)

PROFILE = Profile("cerebras", ("api.cerebras.ai",), HEADERS)
