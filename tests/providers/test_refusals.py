"""What the body of a refusal says about the limits."""

from __future__ import annotations

from typing import Any

import pytest

from ratedispatch.limits import DAY, MINUTE, Reading
from ratedispatch.outcome import Decision, Response
from ratedispatch.providers.registry import PROVIDERS

interpret = PROVIDERS["openai"].interpret

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
RESET = "1795428030000"  # half a minute later


def read(message: str = "", status: int = 429, date: str = "", **fields: Any) -> tuple[Any, ...]:
    body = {"error": {"message": message, **fields}}
    return interpret(Response(status, {"date": date}, body)).readings


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("on tokens per min (TPM): Limit 30000, Used 22999, Requested 12528.", (7001, 30000)),
        ("on tokens per min (TPM): Limit 30,000, Used 22,999, Requested 12,528.", (7001, 30000)),
        ("on tokens per min (TPM): Limit: 30000, Used: 31000, Requested: 5.", (0, 30000)),
        ("on tokens per min (TPM): Limit 30000, Requested 36278.", (None, 30000)),
        ("on tokens per minute (TPM): Limit 6000, Used 5034, Requested 1443.", (966, 6000)),
        ("on tokens per min (TPM): Limit 0, Used 0, Requested 1.", None),
        (f"on tokens per min (TPM): Limit {'9' * 60}, Used 1.", None),
        ("Limit 30000, Used 22999, Requested 12528.", None),
        ("on images per min (IPM): Limit 5, Used 5, Requested 1.", None),
        ("on tokens per hour: Limit 5, Used 5, Requested 1.", None),
    ],
)
def test_the_numbers_of_a_text(message: str, expected: tuple[float | None, float] | None) -> None:
    """Limit less used is what remains; a limit of nothing is unknown."""
    wanted = () if expected is None else (Reading("tokens", *expected, MINUTE),)
    assert read(message) == wanted


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("on requests per min (RPM): Limit 3, Used 3", Reading("requests", 0, 3, MINUTE)),
        ("on requests per day (RPD): Limit 200, Used 50", Reading("requests", 150, 200, DAY, DAY)),
        ("on tokens per day (TPD): Limit 200, Used 50", Reading("tokens", 150, 200, DAY, DAY)),
        ("on requests per second: Limit 5, Used 5", Reading("requests", 0, 5, 1, 1)),
        (
            (
                "This request would exceed your organization's rate limit of 40,000 input tokens "
                "per minute (org: x). For details"
            ),
            Reading("input_tokens", None, 40000, MINUTE),
        ),
        (
            "This request would exceed the rate limit of 8,000 output tokens per minute.",
            Reading("output_tokens", None, 8000, MINUTE),
        ),
        (
            (
                "Rate limit exceeded for api_key: k. Limit type: tokens. Current limit: 200, "
                "Remaining: 20. Limit resets at: 2026-05-31 10:04:41 UTC"
            ),
            Reading("tokens", 20, 200, MINUTE),
        ),
    ],
)
def test_every_dimension_of_a_text(message: str, expected: Reading) -> None:
    """Requests and tokens, a second, a minute or a day, input and output apart."""
    assert read(message) == (expected,)


def test_only_a_refusal_is_read() -> None:
    """The same text with another status is somebody's prose."""
    assert read("on tokens per min (TPM): Limit 3, Used 3", status=400) == ()


def test_headers_go_before_the_text() -> None:
    """The text adds the buckets that the headers do not tell."""
    message = "on tokens per min (TPM): Limit 30000, Used 22999, Requested 12528."
    headers = {"x-ratelimit-remaining-tokens": "7", "x-ratelimit-remaining-requests": "9"}
    response = Response(429, headers, {"error": {"message": message}})
    assert interpret(response).readings == (
        Reading("requests", 9),
        Reading("tokens", 7),
    )
    # what is told of requests is the minute, what refused was the day
    message = message.replace("tokens per min (TPM)", "requests per day (RPD)")
    response = Response(429, headers, {"error": {"message": message}})
    assert interpret(response).readings[2] == Reading("requests", 7001, 30000, DAY, DAY)


@pytest.mark.parametrize(
    ("quota", "value", "expected"),
    [
        ("GenerateRequestsPerMinutePerProject", "15", Reading("requests", None, 15, MINUTE)),
        ("GenerateRequestsPerDayPerProject", "50", Reading("requests", None, 50, DAY, DAY)),
        ("InputTokensPerModelPerMinute", "9", Reading("input_tokens", None, 9, MINUTE)),
        ("OutputTokensPerModelPerMinute", "9", Reading("output_tokens", None, 9, MINUTE)),
        ("TokensPerModel", "9", Reading("tokens", None, 9)),
        ("GenerateRequestsPerMinutePerProject", "0", None),
        ("GenerateRequestsPerMinutePerProject", None, None),
        ("Anything", "5", None),
    ],
)
def test_the_quotas_of_gemini(quota: str, value: str | None, expected: Reading | None) -> None:
    """The limit, not what remains, under the name that says the window."""
    wanted = () if expected is None else (expected,)
    violation = {"quotaId": quota, "quotaValue": value}
    assert read(details=[{"violations": [violation, "x"]}]) == wanted
    metadata = {"quota_limit": quota, "quota_limit_value": value}
    assert read(details=[{"metadata": metadata}]) == wanted


@pytest.mark.parametrize(
    ("message", "date", "window"),
    [
        ("Rate limit exceeded: free-models-per-day", "", DAY),
        ("Rate limit exceeded: free-models-per-min", "", MINUTE),
        ("Rate limit exceeded", DATE, 30),
        ("Rate limit exceeded", "", None),
    ],
)
def test_the_headers_inside_openrouters_body(message: str, date: str, window: float | None) -> None:
    """The window is the one that is named, else what the reset tells against the date."""
    headers = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": 0, "X-RateLimit-Reset": RESET}
    (reading,) = read(message, date=date, metadata={"headers": headers})
    assert (reading.dimension, reading.remaining, reading.limit) == ("requests", 0, 20)
    assert reading.window == window


def test_a_limit_of_zero_makes_no_request_too_large() -> None:
    """A server in an outage that knows no limits said "Limit 0, Used 0, Requested 1"."""
    message = "Rate limit reached for m on requests per min (RPM): Limit 0, Used 0, Requested 1."
    body = {"error": {"message": message, "type": "requests", "code": "rate_limit_exceeded"}}
    found = interpret(Response(429, {"retry-after": "60"}, body))
    assert found.decision is Decision.RATE_LIMIT
