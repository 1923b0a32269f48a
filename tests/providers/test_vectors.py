"""Published headers and messages of OpenAI, and what they say."""

from __future__ import annotations

import pytest

from ratedispatch.limits import DAY, MINUTE, Reading
from ratedispatch.outcome import Decision, Response
from ratedispatch.providers.read.durations import parse_duration
from ratedispatch.providers.registry import PROVIDERS

interpret = PROVIDERS["openai"].interpret


def refusal(message: str, kind: str | None = "tokens") -> Response:
    error = {"message": message, "type": kind, "param": None, "code": "rate_limit_exceeded"}
    return Response(429, {}, {"error": error})


@pytest.mark.parametrize(
    ("name", "kind", "limit", "used", "requested", "text", "delay"),
    [
        ("tokens per min (TPM)", "tokens", 30000, 22999, 12528, "11.054s", 11.054),
        ("tokens per min (TPM)", "tokens", 50000, 47949, 3006, "1.146s", 1.146),
        ("tokens per min (TPM)", "tokens", 200000, 195869, 4412, "84ms", 0.084),
        ("requests per min (RPM)", "requests", 3, 3, 1, "20s", 20),
    ],
)
def test_a_wait(
    name: str, kind: str, limit: int, used: int, requested: int, text: str, delay: float
) -> None:
    """The wait, the limit that refused, and what was left in it."""
    response = refusal(
        f"Rate limit reached for gpt-4o in organization org-x on {name}: Limit {limit}, "
        f"Used {used}, Requested {requested}. Please try again in {text}. Visit x",
        kind,
    )
    found = interpret(response)
    assert found.decision is Decision.RATE_LIMIT
    assert found.code == "rate_limit_exceeded"
    assert found.dimension == kind
    assert found.delay == pytest.approx(delay)
    assert found.readings == (Reading(kind, limit - used, limit, MINUTE),)


@pytest.mark.parametrize(
    ("limit", "requested"), [(200000, 205482), (30000, 34307), (500000, 538772)]
)
def test_never(limit: int, requested: int) -> None:
    """A request above the limit fails at once, whether or not the text begins as OpenAI's."""
    numbers = f"on tokens per min (TPM): Limit {limit}, Requested {requested}."
    for start in ("Request too large for gpt-4o", "Refused"):
        response = refusal(f"{start} {numbers}")
        found = interpret(response)
        assert (found.decision, found.code) == (Decision.FAIL, "request_too_large")
        assert found.delay is None
        assert found.readings == (Reading("tokens", None, limit, MINUTE),)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "window"),
    [
        (10000, 9481, "3.114s", MINUTE),
        (30000, 29993, "14ms", MINUTE),
        (30000, 29992, "16ms", MINUTE),
        (30000, 29962, "76ms", MINUTE),
        (30000, 29958, "84ms", MINUTE),
        (30000, 29968, "64ms", MINUTE),
        (200000, 199978, "6ms", MINUTE),
        (160000, 159976, "9ms", MINUTE),
        (5000, 4999, "12ms", MINUTE),
        (500, 499, "120ms", MINUTE),
        (500, 498, "176ms", MINUTE),
        (500, 496, "464ms", MINUTE),
        (10000, 9999, "8.64s", DAY),
        (1500000, 1495621, "4m12.172s", DAY),
        (1500000, 1482750, "16m33.562s", DAY),
        (1500000, 1478342, "20m47.458s", DAY),
        (1500000, 43244, "23h18m29.144s", DAY),
    ],
)
def test_a_reset(limit: int, remaining: int, reset: str, window: float) -> None:
    """The window comes out between its half and itself, as what was used is rounded up."""
    headers = {
        "x-ratelimit-limit-tokens": str(limit),
        "x-ratelimit-remaining-tokens": str(remaining),
        "x-ratelimit-reset-tokens": reset,
    }
    (reading,) = interpret(Response(200, headers, {})).readings
    assert reading.window is not None
    assert window / 2 < reading.window <= window * 1.01
    assert reading.is_daily == (window == DAY)
    assert reading.proves_surplus == (window == MINUTE)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("41ms", 0.041),
        ("2s81ms", 2.081),
        ("5h50m30ms", 21000.03),
        ("6m0s", 360),
        ("2m59.56s", 179.56),
        ("7.66s", 7.66),
        ("1h2m3s", 3723),
        ("0s", 0),
        ("8.64s", 8.64),
        ("4m12.172s", 252.172),
        ("23h18m29.144s", 83909.144),
        ("12ms", 0.012),
        ("9" * 400, None),
        ("9" * 400 + "h", None),
        ("9" * 400 + "h1s", None),
        ("١٢", None),
        ("١٢s", None),
        ("1_0s", None),
        ("infs", None),
        ("-1s", None),
        ("s", None),
        ("ms", None),
    ],
)
def test_a_duration(text: str, seconds: float | None) -> None:
    """Go's grammar, and what must not pass for it."""
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))
