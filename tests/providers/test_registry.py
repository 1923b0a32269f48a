"""The provider of a host, and that none of them can be made to raise."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.limits import Reading
from ratedispatch.outcome import Decision, Interpretation, Response, Usage
from ratedispatch.providers import (
    anthropic,
    cerebras,
    fireworks,
    github,
    mistral,
    openai,
    openrouter,
    together,
)
from ratedispatch.providers.read.instants import parse_http_date, parse_instant
from ratedispatch.providers.registry import PROVIDERS, policy_for, provider_for


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        (None, "openai"),
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://x.openai.azure.com/openai", "azure"),
        ("https://x.services.ai.azure.com", "azure"),
        ("https://models.inference.ai.azure.com", "github"),
        ("https://models.github.ai/inference", "github"),
        ("https://api.anthropic.com/v1/", "anthropic"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.fireworks.ai/inference/v1", "fireworks"),
        ("https://api.cerebras.ai/v1", "cerebras"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gemini"),
        ("API.OpenAI.com:443", "openai"),
        ("https://api.openai.com.evil.example/v1", "generic"),
        ("https://notapi.groq.com.example", "generic"),
        ("https://xopenrouter.ai", "generic"),
        ("http://127.0.0.1:8000/v1", "generic"),
        ("https://[broken", "generic"),
        ("", "generic"),
    ],
)
def test_a_host_has_a_provider(base_url: str | None, name: str) -> None:
    """By the host or the end of it; any other may be any server."""
    provider = provider_for(base_url)
    assert provider.name == name
    assert PROVIDERS[name] is provider
    assert policy_for(base_url) is provider.charge


@given(st.text())
def test_any_text_has_a_provider(base_url: str) -> None:
    """What is not a URL is a host that is not known."""
    assert provider_for(base_url).name in PROVIDERS


WORDS = (
    st.text(max_size=12)
    | st.integers(-5, 10**20).map(str)
    | st.floats().map(str)
    | st.datetimes().map(lambda instant: f"{instant.isoformat()}Z")
    | st.sampled_from(
        [
            "9" * 5000,
            "-1",
            "0",
            "6m0s",
            "1e999",
            "²",
            "Mon, 23 Nov 2026 10:00:00 GMT",
            "Mon, 23 Nov 2026 10:00:00 -0000",
            "Mon, 23 Nov 99999 10:00:00 +9999",
            "0001-01-01T00:00:00+23:59",
            "2026-11-23 10:00:00 UTC",
            "on tokens per min (TPM): Limit 3,,, Used , Requested ,.",
            "Limit 3, Used 99, Requested 5 tokens per day, try again in 9.9.9s",
            "rate limit of ,, input tokens per minute; retry after ..",
            "GenerateRequestsPerDay",
            "RESOURCE_EXHAUSTED",
            "tokens",
            "free-models-per-day, resets at: 0000-00-00 00:00:00 UTC",
        ]
    )
)
TABLES = tuple(
    module.HEADERS
    for module in (openai, github, anthropic, mistral, cerebras, fireworks, together, openrouter)
)
NAMES = sorted(
    {
        name
        for table in TABLES
        for names in table
        for name in (names.remaining, names.limit, names.reset, names.period)
        if name
    }
    | {"date", "retry-after", "retry-after-ms", "reset_at", "x-litellm-version"}
    | {"x-ratelimit-team-remaining-tokens", "x-ratelimit-team-limit-tokens"}
    | {"ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining"}
)
FIELDS = st.sampled_from(
    [
        "error",
        "code",
        "message",
        "type",
        "detail",
        "details",
        "violations",
        "metadata",
        "quotaId",
        "quotaMetric",
        "quotaValue",
        "retryDelay",
        "quota_limit",
        "headers",
        "X-RateLimit-Reset",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "limit_source",
        "object",
        "usage",
        "input_tokens",
        "prompt_tokens",
        "cache_creation_input_tokens",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.none().map(lambda _: 10**5000)  # Python refuses to write it out
    | st.integers(399, 600)
    | WORDS
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=12,
)
ERROR = st.fixed_dictionaries(
    {},
    optional={
        "code": SCALARS,
        "type": SCALARS,
        "message": WORDS,
        "details": st.lists(st.dictionaries(FIELDS, JSON, max_size=4), max_size=3),
        "metadata": st.dictionaries(FIELDS, JSON, max_size=4),
    },
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    provider=st.sampled_from(sorted(PROVIDERS)),
    status=st.sampled_from([200, 302, 400, 401, 402, 403, 404, 413, 429, 500, 503, 529]),
    headers=st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=12),
    body=JSON | ERROR.map(lambda error: {"error": error}) | ERROR.map(lambda e: [{"error": e}]),
    is_json=st.booleans(),
)
def test_nothing_that_a_server_says_makes_it_raise(
    provider: str, status: int, headers: dict[str, str], body: Any, is_json: bool
) -> None:
    """Whatever comes, there are readings within reason, and a decision."""
    response = Response(status, headers, body, is_json)
    found = PROVIDERS[provider].interpret(response)
    assert isinstance(found, Interpretation)
    readings = found.readings
    for reading in readings:
        assert isinstance(reading, Reading)
        assert reading.remaining is not None or reading.limit is not None
        assert reading.remaining is None or 0 <= reading.remaining < math.inf
        assert reading.limit is None or 0 < reading.limit < math.inf
        assert reading.window is None or 0 < reading.window < math.inf
        assert 0 < reading.period < math.inf
    buckets = [reading.bucket for reading in readings]
    assert len(set(buckets)) == len(buckets)
    assert isinstance(found.code, str)
    assert isinstance(found.message, str)
    assert (found.code == "") == (found.decision is Decision.ANSWERED)
    assert found.delay is None or 0 <= found.delay < math.inf
    assert found.usage is None or isinstance(found.usage, Usage)


@given(st.text(max_size=40) | WORDS)
def test_any_text_is_an_instant_or_none(text: str) -> None:
    """No date raises, however wrong."""
    for instant in (parse_instant(text), parse_http_date(text)):
        assert instant is None or math.isfinite(instant)


@given(
    limit=st.integers(10, 10**7),
    window=st.sampled_from([60, 86_400]),
    share=st.floats(0.001, 1),
)
def test_the_window_of_an_evenly_refilled_bucket_is_never_mistaken(
    limit: int, window: int, share: float
) -> None:
    """A minute is never taken for a day, nor the other way round; at worst it is unknown."""
    level = max(1.0, share * limit)
    reset = math.floor(level / limit * window * 1000)
    headers = {
        "x-ratelimit-limit-tokens": str(limit),
        "x-ratelimit-remaining-tokens": str(math.floor(limit - level)),
        "x-ratelimit-reset-tokens": f"{reset}ms",
    }
    (reading,) = PROVIDERS["openai"].interpret(Response(200, headers, {})).readings
    assert reading.window is None or reading.is_daily == (window == 86_400)
    assert reading.window is None or reading.proves_surplus == (window == 60)


def test_the_repr_of_a_provider_names_it() -> None:
    """As it stands in an error or a debugger."""
    assert repr(provider_for(None)) == "<Provider openai>"
