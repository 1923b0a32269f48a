"""Fireworks. Source: docs.fireworks.ai/serverless/rate-limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.limits import MINUTE
from ratedispatch.providers.base import Profile
from ratedispatch.providers.read.headers import x_ratelimit

if TYPE_CHECKING:
    from ratedispatch.providers.read.headers import HeaderTable

#: What has a name of its own: prompt and generated tokens per minute, by limits that grow and
#: shrink with use.
TOKENS: HeaderTable = (
    x_ratelimit("input_tokens", "tokens-prompt", window=MINUTE),
    x_ratelimit("output_tokens", "tokens-generated", window=MINUTE),
)
HEADERS: HeaderTable = (x_ratelimit("requests", window=MINUTE), *TOKENS)

PROFILE = Profile("fireworks", ("api.fireworks.ai",), HEADERS)
