"""
The header names of each provider, and the windows that it documents.

Data. Knows nothing of how a value is read.
Sources stand at each table: the providers' documentation of rate limits where they have one,
otherwise headers printed in public issue threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.limits import DAY, MINUTE
from ratedispatch.providers.read.headers import Names

if TYPE_CHECKING:
    from ratedispatch.providers.read.headers import Table


def _openai_names(dimension: str, name: str = "", window: float | None = None) -> Names:
    name = name or dimension
    return Names(
        dimension,
        f"x-ratelimit-remaining-{name}",
        f"x-ratelimit-limit-{name}",
        f"x-ratelimit-reset-{name}",
        window=window,
    )


def _names(dimension: str, name: str, window: float | None = None) -> Names:
    return Names(
        dimension, f"x-ratelimit-remaining-{name}", f"x-ratelimit-limit-{name}", window=window
    )


#: OpenAI's guide "Rate limits". The names say nothing of the window: where an account has a limit
#: per day, they may describe that one.
OPENAI: Table = (
    _openai_names("requests"),
    _openai_names("tokens"),
    _openai_names("tokens", "project-tokens"),
)

#: Microsoft Learn, "Manage Azure OpenAI quota": tokens are "a running count that is reset each
#: minute", so a reset is the end of that minute and tells no window. Requests are "evaluated
#: over a small period, typically 1 or 10 seconds", and what remains may be of that period or
#: of the minute: no window is claimed.
AZURE: Table = (
    _names("requests", "requests"),
    _names("tokens", "tokens", MINUTE),
)


def _anthropic_names(dimension: str) -> Names:
    prefix = f"anthropic-ratelimit-{dimension.replace('_', '-')}"
    return Names(
        dimension, f"{prefix}-remaining", f"{prefix}-limit", f"{prefix}-reset", window=MINUTE
    )


#: platform.claude.com/docs/en/api/rate-limits: all limits are per minute. The endpoint that
#: speaks OpenAI's dialect sends OpenAI's names; the format of its reset is not documented.
ANTHROPIC: Table = (
    *map(_anthropic_names, ("requests", "tokens", "input_tokens", "output_tokens")),
    _openai_names("requests", window=MINUTE),
    _openai_names("tokens", window=MINUTE),
)

#: console.groq.com/docs/rate-limits: requests "always" per day, tokens "always" per minute.
GROQ: Table = (
    _names("requests", "requests", DAY),
    _names("tokens", "tokens", MINUTE),
)

#: Seen in issue threads; limits per month are not read.
MISTRAL: Table = (
    _names("requests", "req-minute", MINUTE),
    _names("tokens", "tokens-minute", MINUTE),
    Names(
        "tokens",
        "x-ratelimitbysize-remaining-minute",
        "x-ratelimitbysize-limit-minute",
        window=MINUTE,
    ),
    Names("tokens", "ratelimitbysize-remaining", "ratelimitbysize-limit", window=MINUTE),
)

_TOGETHER_TOKENS: Table = (
    Names("tokens", "x-tokenlimit-remaining", "x-tokenlimit-limit", window=1.0),
    Names("tokens", "x-tokenlimit-remaining-dynamic", "x-tokenlimit-limit-dynamic", window=1.0),
)

#: docs.together.ai, "Rate limits": both per second.
TOGETHER: Table = (
    Names("requests", "x-ratelimit-remaining", "x-ratelimit-limit", window=1.0),
    Names("requests", "x-ratelimit-remaining-dynamic", "x-ratelimit-limit-dynamic", window=1.0),
    *_TOGETHER_TOKENS,
)

#: docs.fireworks.ai/serverless/rate-limits: prompt and generated tokens per minute; the limits
#: grow and shrink with use.
FIREWORKS: Table = (
    _names("requests", "requests", MINUTE),
    _names("input_tokens", "tokens-prompt", MINUTE),
    _names("output_tokens", "tokens-generated", MINUTE),
)

#: inference-docs.cerebras.ai, "Rate limits".
CEREBRAS: Table = (
    _names("requests", "requests-day", DAY),
    _names("tokens", "tokens-minute", MINUTE),
)

#: Names without a dimension, as web APIs at large have them: requests, in a window of any length.
BARE: Table = (
    Names("requests", "x-ratelimit-remaining", "x-ratelimit-limit", "x-ratelimit-reset"),
)


def _github_names(dimension: str, window: float | None = None) -> Names:
    return Names(
        dimension,
        f"x-ratelimit-remaining-{dimension}",
        f"x-ratelimit-limit-{dimension}",
        f"x-ratelimit-reset-{dimension}",
        f"x-ratelimit-renewalperiod-{dimension}",
        window,
    )


#: Seen in issue threads: OpenAI's names, and the window beside them.
GITHUB: Table = (_github_names("requests"), _github_names("tokens"))

#: What has a name of its own, and so means the same on any host.
UNMISTAKABLE: Table = (
    _openai_names("tokens", "project-tokens"),
    *ANTHROPIC[:4],
    *MISTRAL,
    *CEREBRAS,
    *FIREWORKS[1:],
    *_TOGETHER_TOKENS,
    *BARE,
)

#: LiteLLM's proxy, which passes on the names of others: its own limits are per minute
#: (``LITELLM_RATE_LIMIT_WINDOW_SIZE``, 60 by default) and come without a reset.
LITELLM: Table = (_github_names("requests", MINUTE), _github_names("tokens", MINUTE))
