"""Together. Source: docs.together.ai, "Rate limits": requests and tokens are per second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.providers.base import Profile
from ratedispatch.providers.read.headers import HeaderNames

if TYPE_CHECKING:
    from ratedispatch.providers.read.headers import HeaderTable

_SECOND = 1.0

#: What has a name of its own.
TOKENS: HeaderTable = (
    HeaderNames("tokens", "x-tokenlimit-remaining", "x-tokenlimit-limit", window=_SECOND),
    HeaderNames(
        "tokens", "x-tokenlimit-remaining-dynamic", "x-tokenlimit-limit-dynamic", window=_SECOND
    ),
)
HEADERS: HeaderTable = (
    HeaderNames("requests", "x-ratelimit-remaining", "x-ratelimit-limit", window=_SECOND),
    HeaderNames(
        "requests", "x-ratelimit-remaining-dynamic", "x-ratelimit-limit-dynamic", window=_SECOND
    ),
    *TOKENS,
)

PROFILE = Profile("together", ("api.together.xyz", "api.together.ai"), HEADERS)
