"""What each provider's headers say about its buckets."""

from __future__ import annotations

import pytest

from ratedispatch.limits import DAY, MINUTE, Reading
from ratedispatch.outcome import Response
from ratedispatch.providers.read.headers import strictest
from ratedispatch.providers.registry import PROVIDERS

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
#: The same instant in seconds since 1970.
NOW = 1_795_428_000


def limits(name: str, **amounts: str) -> dict[str, str]:
    """Headers in OpenAI's names: ``limits("tokens", limit="10")``."""
    return {f"x-ratelimit-{what}-{name}": text for what, text in amounts.items()}


def read(provider: str, headers: dict[str, str]) -> tuple[Reading, ...]:
    return PROVIDERS[provider].interpret(Response(200, headers, {})).readings


def anthropic(name: str, reset: str = "") -> dict[str, str]:
    prefix = f"anthropic-ratelimit-{name}"
    headers = {f"{prefix}-limit": "80000", f"{prefix}-remaining": "20000"}
    return headers | ({f"{prefix}-reset": reset} if reset else {})


GROQ = {  # the sample of Groq's documentation
    **limits("requests", limit="14400", remaining="14370", reset="2m59.56s"),
    **limits("tokens", limit="18000", remaining="17997", reset="7.66s"),
}
CEREBRAS = {
    **limits("requests-day", limit="14400", remaining="14300", reset="33011.38"),
    **limits("tokens-minute", limit="60000", remaining="58000", reset="11.38"),
}
MISTRAL = {
    **limits("req-minute", limit="60", remaining="59"),
    **limits("tokens-minute", limit="500000", remaining="499000"),
    "x-ratelimit-tokens-query-cost": "1000",
}
MISTRAL_OLDER = {
    "ratelimitbysize-limit": "500000",
    "ratelimitbysize-remaining": "499000",
    "ratelimitbysize-reset": "12",
    "x-ratelimitbysize-limit-minute": "500000",
    "x-ratelimitbysize-remaining-minute": "498000",
    "x-ratelimitbysize-limit-month": "1000000000",
    "x-ratelimitbysize-remaining-month": "5",
}
FIREWORKS = {
    **limits("requests", limit="6000", remaining="5999"),
    **limits("tokens-prompt", limit="3600000", remaining="3599000"),
    **limits("tokens-cache-adjusted-prompt", limit="900000", remaining="1"),
    **limits("tokens-generated", limit="36000", remaining="35000"),
}
TOGETHER = {
    "x-ratelimit-limit": "10",
    "x-ratelimit-remaining": "9",
    "x-ratelimit-reset": "1",
    "x-tokenlimit-limit": "3000",
    "x-tokenlimit-remaining": "2500",
}
GITHUB = {
    **limits("requests", limit="20000", remaining="19990", reset="0"),
    **limits("tokens", limit="2000000", remaining="1999000", reset="0"),
    "x-ratelimit-renewalperiod-requests": "60",
    "x-ratelimit-renewalperiod-tokens": "10",
}
LITELLM = {
    "x-litellm-call-id": "c",
    **limits("requests", limit="100", remaining="99"),
    **limits("tokens", limit="10000", remaining="9000"),
}
LITELLM_V3 = {
    "x-ratelimit-api_key-remaining-requests": "9",
    "x-ratelimit-api_key-limit-requests": "10",
    "x-ratelimit-team-remaining-requests": "4",
    "x-ratelimit-team-limit-requests": "50",
    "x-ratelimit-model_per_key-remaining-tokens": "700",
    "x-ratelimit-model_per_key-limit-tokens": "1000",
    "x-ratelimit-user-limit-tokens": "900",
}


@pytest.mark.parametrize(
    ("provider", "headers", "expected"),
    [
        (
            "groq",
            GROQ,
            (
                Reading("requests", 14370, 14400, DAY, DAY),
                Reading("tokens", 17997, 18000, MINUTE),
            ),
        ),
        (
            "cerebras",
            CEREBRAS,
            (
                Reading("requests", 14300, 14400, DAY, DAY),
                Reading("tokens", 58000, 60000, MINUTE),
            ),
        ),
        (
            "mistral",
            MISTRAL,
            (Reading("requests", 59, 60, MINUTE), Reading("tokens", 499000, 500000, MINUTE)),
        ),
        ("mistral", MISTRAL_OLDER, (Reading("tokens", 498000, 500000, MINUTE),)),
        (
            "fireworks",
            FIREWORKS,
            (
                Reading("requests", 5999, 6000, MINUTE),
                Reading("input_tokens", 3599000, 3600000, MINUTE),
                Reading("output_tokens", 35000, 36000, MINUTE),
            ),
        ),
        (
            "together",
            TOGETHER,
            (Reading("requests", 9, 10, 1, 1), Reading("tokens", 2500, 3000, 1, 1)),
        ),
        (
            "together",
            {**TOGETHER, "x-ratelimit-limit-dynamic": "5", "x-ratelimit-remaining-dynamic": "2"},
            (Reading("requests", 2, 5, 1, 1), Reading("tokens", 2500, 3000, 1, 1)),
        ),
        (
            "github",
            GITHUB,
            (
                Reading("requests", 19990, 20000, MINUTE),
                Reading("tokens", 1999000, 2000000, 10, 10),
            ),
        ),
        (
            "litellm",
            LITELLM,
            (Reading("requests", 99, 100, MINUTE), Reading("tokens", 9000, 10000, MINUTE)),
        ),
        (
            "litellm",
            LITELLM_V3,
            (Reading("requests", 4, 50, MINUTE), Reading("tokens", 700, 1000, MINUTE)),
        ),
        (
            "litellm",
            {
                **LITELLM,
                "x-ratelimit-team-remaining-requests": "3",
                "x-ratelimit-user-remaining-requests": "few",
            },
            (Reading("requests", 3, None, MINUTE), Reading("tokens", 9000, 10000, MINUTE)),
        ),
        (
            "anthropic",
            {**anthropic("requests"), **anthropic("input-tokens"), **anthropic("output-tokens")},
            (
                Reading("requests", 20000, 80000, MINUTE),
                Reading("input_tokens", 20000, 80000, MINUTE),
                Reading("output_tokens", 20000, 80000, MINUTE),
            ),
        ),
        ("anthropic", anthropic("tokens"), (Reading("tokens", 20000, 80000, MINUTE),)),
        (  # the endpoint in OpenAI's format
            "anthropic",
            limits("requests", limit="50", remaining="49", reset="2026-11-23T10:00:01Z"),
            (Reading("requests", 49, 50, MINUTE),),
        ),
        (
            "azure",
            {
                **limits("requests", limit="300", remaining="29", reset="10"),
                **limits("tokens", limit="50000", remaining="49000", reset="300"),
            },
            (Reading("requests", 29, 300), Reading("tokens", 49000, 50000, MINUTE)),
        ),
        (
            "azure",
            {**limits("requests", remaining="29"), **limits("tokens", remaining="49000")},
            (Reading("requests", 29), Reading("tokens", 49000, None, MINUTE)),
        ),
        (  # seen of the Responses API on Azure
            "azure",
            limits("tokens", limit="-1", remaining="-1", reset="0"),
            (),
        ),
        ("gemini", limits("tokens", limit="10", remaining="1"), ()),
        (
            "openai",
            {
                **limits("tokens", limit="150000", remaining="149000", reset="400ms"),
                **limits("project-tokens", limit="60000", remaining="57000", reset="3s"),
            },
            (Reading("tokens", 57000, 60000, MINUTE),),
        ),
        (
            "openai",
            {
                **limits("tokens", limit="60000", remaining="100", reset="59.9s"),
                **limits("project-tokens", limit="60000", remaining="57000", reset="3s"),
            },
            (Reading("tokens", 100, 60000, MINUTE),),
        ),
        (  # a limit of a day and one of a minute are two buckets
            "openai",
            {
                **limits("tokens", limit="1500000", remaining="43244", reset="23h18m29.144s"),
                **limits("project-tokens", limit="60000", remaining="57000", reset="3s"),
            },
            (Reading("tokens", 43244, 1500000, DAY), Reading("tokens", 57000, 60000, MINUTE)),
        ),
    ],
)
def test_what_each_provider_says(
    provider: str, headers: dict[str, str], expected: tuple[Reading, ...]
) -> None:
    """Names, dimensions and documented windows of every table."""
    readings = read(provider, headers)
    assert [(r.dimension, r.remaining, r.limit, r.period) for r in readings] == [
        (r.dimension, r.remaining, r.limit, r.period) for r in expected
    ]
    for reading, wanted in zip(readings, expected, strict=True):
        near = None if wanted.window is None else pytest.approx(wanted.window, rel=0.01)
        assert reading.window == near


@pytest.mark.parametrize(
    "headers",
    [
        GROQ,
        CEREBRAS,
        MISTRAL,
        MISTRAL_OLDER,
        FIREWORKS,
        TOGETHER,
        GITHUB,
        LITELLM,
        LITELLM_V3,
        anthropic("input-tokens"),
    ],
)
def test_an_unknown_host_is_understood_by_the_names_it_sends(headers: dict[str, str]) -> None:
    """Gateways pass on the headers of whatever stands behind them."""
    assert {reading.dimension for reading in read("generic", headers)} >= {
        reading.dimension
        for provider in PROVIDERS
        if provider not in {"openrouter", "together"}  # their names are those of any web server
        for reading in read(provider, headers)
    }


def test_an_unknown_host_claims_no_window_without_a_reason() -> None:
    """A limit without a reset may be one of a day; one of LiteLLM's proxy is one of a minute."""
    headers = limits("requests", limit="100", remaining="99")
    (unknown,) = read("generic", headers)
    assert unknown.window is None
    assert not unknown.proves_surplus
    (proxy,) = read("generic", {**headers, "x-litellm-version": "1.109.1"})
    assert proxy.window == MINUTE


@pytest.mark.parametrize(
    ("headers", "ends_in"),
    [
        ({}, None),
        ({"date": "Mon, 23 Nov 2026 10:00:18 GMT"}, 42),
        ({"date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 60),
        ({"date": "Mon, 23 Nov 2026 10:00:18 GMT", "x-ratelimit-reset-requests": "7s"}, None),
    ],
)
def test_the_proxy_counts_by_the_minutes_of_its_clock(
    headers: dict[str, str], ends_in: float | None
) -> None:
    """What comes with a reset is passed on from the provider behind it."""
    own = limits("requests", limit="100", remaining="99")
    for sign in ({}, {"x-litellm-version": "1.108.7"}):
        (told,) = read("generic", {**own, **headers, **sign})
        assert told.ends_in == (ends_in if sign else None)


@pytest.mark.parametrize(
    ("reset", "date", "window"),
    [
        ("2026-11-23T10:00:45Z", DATE, 60),
        ("2026-11-23T12:00:45+02:00", DATE, 60),
        ("2026-11-23T10:00:45Z", "", None),
        ("2026-11-23T10:00:45Z", "yesterday", None),
        ("2026-11-23T10:00:45", DATE, None),  # of which zone?
        ("2026-11-23T09:59:00Z", DATE, None),
        ("2026-11-24T04:00:00Z", DATE, DAY),
        ("45s", "", 60),
        ("45", "", 60),
        (str(NOW + 45), DATE, 60),
        (f"{NOW + 45}000", DATE, 60),
        (str(NOW + 45), "", None),
        (f"{NOW + 45}000", "", None),
        ("Mon, 23 Nov 2026 10:00:45 GMT", DATE, 60),
        ("1h", "", None),  # 80 minutes: neither a minute nor a day
        ("100h", "", None),  # more than a day
        ("soon", DATE, None),
        ("0s", DATE, None),
    ],
)
def test_a_reset_in_any_format(reset: str, date: str, window: float | None) -> None:
    """Taken against the answer's own date, three quarters of the bucket being used."""
    headers = limits("tokens", limit="80000", remaining="20000", reset=reset) | {"date": date}
    (reading,) = read("generic", headers)
    assert reading.window == (None if window is None else pytest.approx(window))


@pytest.mark.parametrize(
    ("limit", "remaining", "reset"),
    [
        ("4000", "3999", "2026-11-23T10:00:01Z"),  # 15 ms, rounded up to the second
        ("4000", "3999", "1"),
        ("500", "499", "1"),
    ],
)
def test_whole_seconds_prove_nothing_of_a_bucket_that_is_nearly_full(
    limit: str, remaining: str, reset: str
) -> None:
    """An error of a second, times 4,000, would make a minute a day."""
    headers = limits("requests", limit=limit, remaining=remaining, reset=reset) | {"date": DATE}
    (reading,) = read("generic", headers)
    assert reading.window is None


def test_a_reset_overrules_a_documented_minute_only_with_a_day() -> None:
    """Anthropic documents minutes, and what is a day beyond doubt is believed all the same."""
    (minute,) = read("anthropic", {**anthropic("tokens", "2026-11-23T10:00:45Z"), "date": DATE})
    assert minute.window == MINUTE
    (day,) = read("anthropic", {**anthropic("tokens", "2026-11-24T04:00:00Z"), "date": DATE})
    assert day.is_daily


@pytest.mark.parametrize(
    "text", ["-1", "many", "", "nan", "inf", "-inf", "9" * 30, "9" * 5000, "١٢", "1_000", "0x10"]
)
def test_an_amount_that_is_none_is_unknown(text: str) -> None:
    """Alone it says nothing, and beside a good one it does not spoil it."""
    assert read("openai", limits("tokens", remaining=text, limit=text)) == ()
    assert read("openai", limits("tokens", remaining="5", limit=text)) == (Reading("tokens", 5),)
    assert read("openai", limits("tokens", remaining=text, limit="7")) == (
        Reading("tokens", None, 7),
    )


def test_nothing_left_is_believed_and_a_limit_of_nothing_is_not() -> None:
    """A bucket may be empty; a limit of zero would let nothing go for ever."""
    headers = limits("tokens", remaining="0", limit="0", reset="0s")
    assert read("openai", headers) == (Reading("tokens", 0),)


@pytest.mark.parametrize(
    ("readings", "kept"),
    [
        ([Reading("tokens", 5, 10), Reading("tokens", 4, 100)], Reading("tokens", 4, 100)),
        ([Reading("tokens", None, 10), Reading("tokens", 4, 100)], Reading("tokens", 4, 100)),
        ([Reading("tokens", None, 10), Reading("tokens", None, 9)], Reading("tokens", None, 9)),
    ],
)
def test_the_stricter_of_two_counts(readings: list[Reading], kept: Reading) -> None:
    """What was not left in one of them may not be spent, whatever the other says."""
    assert strictest(readings) == (kept,)
    assert strictest(readings[::-1]) == (kept,)
