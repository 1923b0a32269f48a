"""
The cost of interpreting one answer, by provider.

Microseconds of processor time for an answer with usage and with the headers that such a provider
sends, among a dozen others: decision, usage and readings. `bare` is the least that anybody could
do with OpenAI's: look up the remaining requests and tokens, and turn both into numbers; it is the
base of the ratios. `refused` is a 429 of OpenAI, whose body is searched for amounts as well.
`readings` is how many buckets were understood; a provider without headers of its own has none.
Run: python -m benchmarks.micro.headers [--repeats N] [--answers N] [--json [FILE]]
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import costs
from benchmarks.frame.tables import compared
from ratedispatch.outcome import Response
from ratedispatch.providers.registry import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ratedispatch.providers.base import Provider

#: What comes with an answer besides its limits.
_COMMON = {
    "date": "Mon, 23 Nov 2026 10:00:00 GMT",
    "content-type": "application/json",
    "transfer-encoding": "chunked",
    "connection": "keep-alive",
    "access-control-expose-headers": "X-Request-ID",
    "x-request-id": "req_0123456789abcdef0123456789abcdef",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-content-type-options": "nosniff",
    "cf-cache-status": "DYNAMIC",
    "cf-ray": "8e6f0d1c2b3a4f5e-FRA",
    "server": "cloudflare",
    "alt-svc": 'h3=":443"; ma=86400',
}


def _limits(name: str, limit: int, remaining: int, reset: str = "") -> dict[str, str]:
    prefix = "x-ratelimit"
    headers = {f"{prefix}-limit-{name}": str(limit), f"{prefix}-remaining-{name}": str(remaining)}
    return headers | ({f"{prefix}-reset-{name}": reset} if reset else {})


def _anthropic(name: str, limit: int, remaining: int) -> dict[str, str]:
    prefix = f"anthropic-ratelimit-{name}"
    amounts = {f"{prefix}-limit": str(limit), f"{prefix}-remaining": str(remaining)}
    return amounts | {f"{prefix}-reset": "2026-11-23T10:00:02Z"}


_OPENAI = {
    **_limits("requests", 10_000, 9_995, "30ms"),
    **_limits("tokens", 2_000_000, 1_999_000, "30ms"),
    "openai-processing-ms": "812",
    "openai-version": "2020-10-01",
}
_REQUESTS_AND_TOKENS = {
    **_limits("requests", 10_000, 9_995),
    **_limits("tokens", 2_000_000, 1_999_000),
}

#: Headers on limits as each provider sends them. Sources: see its module in
#: `ratedispatch.providers`.
SAMPLES: Mapping[str, Mapping[str, str]] = {
    "openai": _OPENAI,
    "azure": {**_REQUESTS_AND_TOKENS, "x-ms-region": "Sweden Central"},
    "anthropic": {
        **_anthropic("requests", 4_000, 3_999),
        **_anthropic("tokens", 480_000, 478_000),
        **_anthropic("input-tokens", 400_000, 399_000),
        **_anthropic("output-tokens", 80_000, 79_000),
    },
    "cerebras": {
        **_limits("requests-day", 14_400, 14_300, "33011.38"),
        **_limits("tokens-minute", 60_000, 58_000, "11.38"),
    },
    "fireworks": {
        **_limits("requests", 6_000, 5_999),
        **_limits("tokens-prompt", 3_600_000, 3_599_000),
        **_limits("tokens-generated", 36_000, 35_000),
    },
    "github": {
        **_limits("requests", 20_000, 19_990, "0"),
        **_limits("tokens", 2_000_000, 1_999_000, "0"),
        "x-ratelimit-renewalperiod-requests": "60",
        "x-ratelimit-renewalperiod-tokens": "60",
    },
    "groq": {
        **_limits("requests", 14_400, 14_370, "2m59.56s"),
        **_limits("tokens", 18_000, 17_997, "7.66s"),
    },
    "litellm": {"x-litellm-call-id": "c", **_REQUESTS_AND_TOKENS},
    "mistral": {
        **_limits("req-minute", 60, 59),
        **_limits("tokens-minute", 500_000, 499_000),
        "x-ratelimit-tokens-query-cost": "1000",
    },
    "openrouter": {
        "x-ratelimit-limit": "600",
        "x-ratelimit-remaining": "599",
        "x-ratelimit-reset": "1795428010000",
    },
    "together": {
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "9",
        "x-ratelimit-reset": "1",
        "x-tokenlimit-limit": "3000",
        "x-tokenlimit-remaining": "2500",
    },
    # a host that is not known and sends OpenAI's names: an own server, or a gateway
    "generic": _OPENAI,
}

_ANSWER = {
    "choices": [{"message": {"content": "Yes."}}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 2},
}

_REFUSAL = {
    "error": {
        "message": "Rate limit reached for gpt-4o-mini in organization org-0 on tokens per min "
        "(TPM): Limit 2000000, Used 1999000, Requested 1200. Please try again in 6ms.",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }
}


def answers() -> dict[str, tuple[Provider, Response]]:
    """Return what is read, by the name under which it is shown."""
    found = {
        name: (provider, Response(200, {**_COMMON, **SAMPLES.get(name, {})}, _ANSWER))
        for name, provider in PROVIDERS.items()
    }
    refused = Response(429, {**_COMMON, **_OPENAI}, _REFUSAL)
    return {**found, "refused": (PROVIDERS["openai"], refused)}


def _bare(times: range) -> None:
    headers = {**_COMMON, **_OPENAI}
    for _ in times:
        int(headers["x-ratelimit-remaining-requests"])
        int(headers["x-ratelimit-remaining-tokens"])


def _interpret(provider: Provider, response: Response, times: range) -> None:
    interpret = provider.interpret
    for _ in times:
        interpret(response)


def main() -> int:
    """Run everything and print the result."""
    parser = make_parser(__doc__, repeats=7, seed=None)
    parser.add_argument("--answers", type=positive, default=10_000, metavar="N", help="of each")
    arguments = parser.parse_args()
    surroundings = environment(None)
    times, cases = range(arguments.answers), answers()
    ways: dict[str, Callable[[], object]] = {"bare": lambda: _bare(times)}
    for name, (provider, response) in cases.items():
        ways[name] = partial(_interpret, provider, response, times)
    measured = costs(ways, arguments.answers, arguments.repeats)
    figures, text = compared(measured, "bare", "µs an answer", digits=3)
    readings = {
        name: len(provider.interpret(answer).readings) for name, (provider, answer) in cases.items()
    }
    result: dict[str, Any] = {
        "repeats": arguments.repeats,
        "answers": arguments.answers,
        "readings": readings,
        **figures,
    }
    understood = ", ".join(f"{name} {count}" for name, count in readings.items())
    text += f"\n\nBuckets understood: {understood}"
    publish(arguments, surroundings, result, text, caveats=[SHARED_MACHINE])
    return 0


if __name__ == "__main__":
    sys.exit(main())
