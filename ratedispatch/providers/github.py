"""GitHub Models. Sources: headers in public issue threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.providers.base import Profile
from ratedispatch.providers.read.headers import x_ratelimit

if TYPE_CHECKING:
    from ratedispatch.providers.read.headers import HeaderTable

#: OpenAI's names, and the window beside them.
HEADERS: HeaderTable = (
    x_ratelimit("requests", has_reset=True, has_period=True),
    x_ratelimit("tokens", has_reset=True, has_period=True),
)

PROFILE = Profile("github", ("models.inference.ai.azure.com", "models.github.ai"), HEADERS)
