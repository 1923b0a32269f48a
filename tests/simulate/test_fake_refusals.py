"""Words and advice of a refusal, and headers that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulate.providers import ask, chat, error, make_provider

if TYPE_CHECKING:
    from ratedispatch.simulate.provider.provider import Reply


def refused(**settings: Any) -> Reply:
    provider = make_provider(requests_per_minute=3, **settings)
    for _ in range(3):
        ask(provider, chat())
    return ask(provider, chat(), 0.5)


# (retry_after, retry-after, retry-after-ms, whether the text says when)
ADVICE = [
    ("ms", "20", "19500", True),
    ("seconds", "20", None, True),
    ("none", None, None, False),
]


@pytest.mark.parametrize(("advice", "seconds", "ms", "in_text"), ADVICE)
@pytest.mark.parametrize("outage", [None, (0.25, 19.75)])
def test_a_refusal_carries_the_advice_it_is_told_to(
    outage: tuple[float, float] | None,
    advice: str,
    seconds: str | None,
    ms: str | None,
    in_text: bool,
) -> None:
    """Both headers, only whole seconds, or none and no wait in the text; so in an outage."""
    reply = refused(retry_after=advice, outage=outage)
    assert reply.kind == ("outage" if outage else "requests")
    assert reply.headers.get("retry-after") == seconds
    assert reply.headers.get("retry-after-ms") == ms
    message = error(reply)["message"]
    assert ("Please try again in " in message) == in_text
    assert "Limit 3, Used 3, Requested 1. " in message
    assert message.endswith("learn more.")


def test_a_refusal_may_state_no_numbers() -> None:
    """Neither when a limit refuses nor in an outage nor when it is too large."""
    plain = "Rate limit reached for requests. Please try again later."
    reply = refused(numbers=False)
    assert error(reply)["message"] == plain
    assert reply.headers["retry-after"] == "20"
    assert error(reply)["code"] == "rate_limit_exceeded"
    assert error(refused(numbers=False, outage=(0.25, 9.0)))["message"] == plain
    strict = make_provider(tokens_per_minute=50, numbers=False)
    message = error(ask(strict, chat(max_tokens=100)))["message"]
    assert message == (
        "Request too large for gpt-4o-mini. The input or output tokens must be reduced in order "
        "to run successfully."
    )


# (factor, limit, remaining) of 15 requests per minute after one
FACTORS = [(1.0, "15", "14"), (2.0, "30", "28"), (0.5, "7", "7"), (0.1, "1", "1"), (0.0, "0", "0")]


@pytest.mark.parametrize(("factor", "limit", "remaining"), FACTORS)
def test_headers_lie_as_much_as_they_are_told_to(factor: float, limit: str, remaining: str) -> None:
    """Limit and remaining, rounded down; messages and resets stay true."""
    provider = make_provider(requests_per_minute=15, header_factor=factor)
    headers = ask(provider, chat()).headers
    assert headers["x-ratelimit-limit-requests"] == limit
    assert headers["x-ratelimit-remaining-requests"] == remaining
    assert headers["x-ratelimit-reset-requests"] == "4s"
    for _ in range(14):
        ask(provider, chat())
    assert "Limit 15, Used 15" in error(ask(provider, chat()))["message"]
