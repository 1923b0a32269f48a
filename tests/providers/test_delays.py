"""How long a server asks to wait."""

from __future__ import annotations

from typing import Any

import pytest

from ratedispatch.outcome import Response
from ratedispatch.providers.registry import PROVIDERS

interpret = PROVIDERS["openai"].interpret

DATE = "Sun, 31 May 2026 10:04:00 GMT"
SOON = "Sun, 31 May 2026 10:04:30 GMT"
RESET = "2026-05-31 10:04:41 UTC"


def refused(message: str = "", fields: Any = None, **headers: str) -> Response:
    named = {name.replace("__", "-"): text for name, text in headers.items()}
    return Response(429, named, {"error": {"message": message, **(fields or {})}})


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("Please try again in 11.054s. Visit", 11.054),
        ("Please try again in 84ms. Visit", 0.084),
        ("Please try again in 7m12s.", 432),
        ("Please try again in 1h2m3.5s.", 3723.5),
        ("Please retry after 34 seconds.", 34),
        ("Please retry after 1 second.", 1),
        ("Please retry after 1 second", 1),
        ("Please retry after 86400 seconds", 86400),
        ("Please try again in 2 minutes.", 120),
        ("Please retry in 250 milliseconds", 0.25),
        ("Please retry in 36.429760048s.", 36.429760048),
        ("PLEASE RETRY AFTER 3 SECONDS", 3),
        ("Please retry after 5", 5),
        ("Please retry after 5 other things", 5),
        ("Please retry after a while", None),
        ("Please retry after .", None),
        ("Please retry after 1x", None),
        ("Please retry after " + "9" * 500, None),
        ("x" * 100_000 + "Please retry after 5 seconds", None),
    ],
)
def test_in_words(text: str, delay: float | None) -> None:
    """The phrases of OpenAI, Azure and Gemini, with units or without."""
    assert interpret(refused(text)).delay == (None if delay is None else pytest.approx(delay))


@pytest.mark.parametrize(
    ("response", "delay"),
    [
        (refused("retry after 9 seconds", retry__after__ms="20", retry__after="9"), 0.02),
        (refused("retry after 9 seconds", retry__after="7"), 7),
        # a gateway adds its upstream's headers to its own
        (refused(retry__after="3, 3"), 3),
        (refused(retry__after="3,3,3"), 3),
        (refused(retry__after="3, 5"), 5),
        (refused(retry__after="3s, 1m"), 60),
        (refused(retry__after="3, soon"), None),
        (refused(retry__after="3, " * 9_000), 3),
        (refused(retry__after__ms="20, 20"), 0.02),
        (refused(retry__after=f"{SOON}, {SOON}", date=f"{DATE}, {DATE}"), 30),
        (refused(retry__after="3 seconds"), 3),
        (refused(retry__after='"3"'), 3),
        (refused(retry__after="3 requests"), None),
        (refused(retry__after="٧"), None),
        (refused(retry__after="nan"), None),
        (refused(retry__after="9" * 400), None),
        (refused(retry__after="Sun, 31 May 2026 10:04:30 GMT", date=DATE), 30),
        (refused(retry__after="Sun, 31 May 2026 10:03:30 GMT", date=DATE), 0),
        (refused(retry__after="Sun, 31 May 2026 10:04:30 GMT"), None),
        (refused(retry__after="Sun, 31 May 2026 10:04:30 -0000", date=DATE), 30),
        (refused(retry__after="1780221870", date=DATE), 30),
        (refused(retry__after="1780221870"), None),
        # a field of the error
        (refused("slow", {"retry_after": 3.5}), 3.5),
        (refused("slow", {"retryAfter": "3s"}), 3),
        (refused("slow", {"retry_after_ms": 3_000}), 3),
        (refused("slow", {"retry-after": 10**400, "retry_after": True}), None),
        (Response(429, {}, {"error": "slow", "retry_after_seconds": 3}), 3),
        # Google's details
        (refused("retry in 9s", {"details": [{"retryDelay": "34.5s"}]}), 34.5),
        (refused("retry in 9s", {"details": [{"retryDelay": 34}, 5]}), 9),
        (refused("retry in 9s", {"details": "none"}), 9),
        # LiteLLM: the whole window, unless it can be told when that ends
        (refused(retry__after="60", reset_at=RESET, date=DATE), 42),
        (refused(f"Limit resets at: {RESET}", retry__after="60", date=DATE), 42),
        (refused(f"Limit resets at: {RESET}", date=DATE), 42),
        (refused(retry__after="60", reset_at=RESET), 60),
        (refused(retry__after="60", reset_at="2026-05-31 12:04:41 UTC", date=DATE), 60),
        (refused(retry__after="60", reset_at="2026-05-31 08:04:41 UTC", date=DATE), 60),
        (refused(retry__after="60", reset_at="soon", date=DATE), 60),
        (
            refused(
                "RPM limit=600, current usage=601",
                retry__after="60",
                date="Sun, 31 May 2026 10:04:20 GMT",
            ),
            40.1,
        ),
        (refused("RPM limit=600, current usage=601", retry__after="60"), 60),
        (refused("RPM limit=600, current usage=601", retry__after="9", date=DATE), 9),
        (refused(llm_provider__retry__after="7"), 7),
        (refused(llm_provider__retry__after="7", retry__after="8"), 8),
        # OpenRouter
        (
            refused(
                "", {"metadata": {"headers": {"X-RateLimit-Reset": "1780221870000"}}}, date=DATE
            ),
            30,
        ),
        (refused("", {"metadata": {"headers": {"X-RateLimit-Reset": "1780221870000"}}}), None),
        (refused("", {"metadata": {"headers": None}}, date=DATE), None),
    ],
)
def test_in_headers_and_fields(response: Response, delay: float | None) -> None:
    """Headers first, then fields of the body; dates against the server's own."""
    assert interpret(response).delay == (None if delay is None else pytest.approx(delay))
