"""What headers and error bodies mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.limits import Reading
from ratedispatch.outcome import Decision, Response, Usage
from ratedispatch.providers.read.durations import parse_duration
from ratedispatch.providers.registry import PROVIDERS

interpret = PROVIDERS["openai"].interpret


def error(
    status: int, message: str = "", code: str | None = None, kind: str | None = None, **headers: str
) -> Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Response(status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120µs", 120e-6),
        ("5us", 5e-6),
        ("10", 10),
        ("0.5", 0.5),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("1s ago", None),
        ("1x", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    """Small units, bare seconds, and what is neither; the published ones are among the vectors."""
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=20))
def test_durations_of_anything_are_a_number_or_nothing(text: str) -> None:
    """Headers come from outside: no text raises."""
    seconds = parse_duration(text)
    assert seconds is None or seconds >= 0


RPM_MESSAGE = (
    "Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): "
    "Limit 3, Used 3, Requested 1. Please try again in 20s. Visit https://example.test"
)
TPM_MESSAGE = (
    "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): "
    "Limit 30000, Used 22999, Requested 12528. Please try again in 11.054s. Visit x"
)
LARGE_MESSAGE = (
    "Request too large for gpt-4o in organization org-x on tokens per min (TPM): "
    "Limit 30000, Requested 36278. The input or output tokens must be reduced"
)
DAY_MESSAGE = (
    "Rate limit reached for gpt-4o on requests per day (RPD): Limit 200, Used 200, Requested 1. "
    "Please try again in 7m12s."
)


@pytest.mark.parametrize(
    ("response", "decision", "code"),
    [
        (Response(200, {}, {"choices": []}), Decision.TRANSIENT, "no_answer"),
        (Response(200, {}, "<html>", is_json=False), Decision.TRANSIENT, "garbled_answer"),
        (Response(200, {}, [1, 2]), Decision.TRANSIENT, "garbled_answer"),
        (error(429, RPM_MESSAGE, "rate_limit_exceeded"), Decision.RATE_LIMIT, None),
        (error(429, TPM_MESSAGE, "rate_limit_exceeded"), Decision.RATE_LIMIT, None),
        (error(429, LARGE_MESSAGE, "rate_limit_exceeded"), Decision.FAIL, "request_too_large"),
        (error(429, DAY_MESSAGE, "rate_limit_exceeded"), Decision.DAY_LIMIT, "day_limit"),
        (error(429, "quota", "insufficient_quota"), Decision.STOP, "quota"),
        (error(429, "quota", None, "insufficient_quota"), Decision.STOP, "quota"),
        (error(429, "x", "credit_balance_exhausted"), Decision.STOP, "quota"),
        (error(429, "x", "organization_spend_limit_exceeded"), Decision.STOP, "quota"),
        (error(429, "x", "project_spend_limit_exceeded"), Decision.STOP, "quota"),
        (error(429, "x", "organization_usage_limit_exceeded"), Decision.STOP, "quota"),
        (error(400, "x", "billing_hard_limit_reached"), Decision.STOP, "quota"),
        (error(402, "payment required"), Decision.STOP, "quota"),
        (Response(429, {}, {}), Decision.RATE_LIMIT, "429"),
        (Response(429, {}, "slow", is_json=False), Decision.RATE_LIMIT, "429"),
        (error(401, "bad key", "invalid_api_key"), Decision.STOP, "authentication"),
        (error(404, "no model", "model_not_found"), Decision.MISSING, "model_not_found"),
        (error(403, "not yours"), Decision.MISSING, "not_found"),
        (error(400, "too long", "context_length_exceeded"), Decision.FAIL, None),
        (error(413, "too large"), Decision.FAIL, "413"),
        (error(422, "what"), Decision.FAIL, "422"),
        (error(408, "slow"), Decision.TRANSIENT, None),
        (error(409, "again"), Decision.TRANSIENT, None),
        (error(500, "oops", None, "server_error"), Decision.TRANSIENT, "server_error"),
        (Response(502, {}, "<html>bad gateway", is_json=False), Decision.TRANSIENT, "502"),
        (error(503, "The engine is currently overloaded"), Decision.OVERLOADED, None),
        (error(503, "Slow Down"), Decision.OVERLOADED, "slow_down"),
        (error(529, "overloaded"), Decision.OVERLOADED, None),
        (Response(200, {}, {"error": {"code": 502, "message": "up"}}), Decision.TRANSIENT, "502"),
        (
            Response(200, {}, {"error": {"code": "rate_limit_exceeded"}, "output": []}),
            Decision.RATE_LIMIT,
            None,
        ),
        (Response(200, {}, {"error": {"message": "bad"}}), Decision.TRANSIENT, "error_in_answer"),
        (Response(200, {}, {"error": None, "output": [{}]}), Decision.ANSWERED, None),
    ],
)
def test_each_class_of_answer(response: Response, decision: Decision, code: str | None) -> None:
    """Branches on status and code; texts are read for numbers."""
    found = interpret(response)
    assert found.decision is decision
    if code is not None:
        assert found.code == code


@pytest.mark.parametrize(
    ("response", "delay"),
    [
        (error(429, "", retry_after_ms="2000", retry_after="9"), 2.0),
        (error(429, "", retry_after="9"), 9.0),
        (error(429, "", retry_after="1.5"), 1.5),
        (error(429, TPM_MESSAGE), 11.054),
        (error(429, RPM_MESSAGE), 20.0),
        (error(429, "Please retry after 34 seconds."), 34.0),
        (
            error(
                429,
                "",
                retry_after="Mon, 23 Nov 2026 10:00:30 GMT",
                date="Mon, 23 Nov 2026 10:00:00 GMT",
            ),
            30.0,
        ),
        (error(429, "", retry_after="soon"), None),
        (error(429, "", retry_after_ms="-1"), None),
        (error(500, ""), None),
    ],
)
def test_the_wait_that_is_asked_for(response: Response, delay: float | None) -> None:
    """Milliseconds, seconds, a date against the server's own, or the text."""
    assert interpret(response).delay == (None if delay is None else pytest.approx(delay))


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "window"),
    [
        # published headers; the window is 60 s or a day within the truncation of reset to 1 ms
        ("10000", "9481", "3.114s", 60),
        ("30000", "29962", "76ms", 60),
        ("5000", "4999", "12ms", 60),
        ("500", "499", "120ms", 60),
        ("10000", "9999", "8.64s", 86_400),
        ("1500000", "1495621", "4m12.172s", 86_400),
        ("1500000", "43244", "23h18m29.144s", 86_400),
    ],
)
def test_the_window_tells_a_day_from_a_minute(
    limit: str, remaining: str, reset: str, window: float
) -> None:
    """reset × limit / (limit - remaining)."""
    headers = {
        "x-ratelimit-limit-tokens": limit,
        "x-ratelimit-remaining-tokens": remaining,
        "x-ratelimit-reset-tokens": reset,
    }
    (reading,) = interpret(Response(200, headers, {})).readings
    assert reading.window == pytest.approx(window, rel=0.03)
    assert reading.is_daily == (window > 3600)
    assert reading.proves_surplus == (window == 60)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ()),
        ({"x-ratelimit-remaining-requests": "-1"}, ()),
        ({"x-ratelimit-remaining-requests": "many"}, ()),
        ({"x-ratelimit-remaining-requests": "29"}, (Reading("requests", 29),)),
        (
            {"x-ratelimit-remaining-requests": "5", "x-ratelimit-limit-requests": "0"},
            (Reading("requests", 5),),
        ),
        (
            {
                "x-ratelimit-remaining-requests": "10",
                "x-ratelimit-limit-requests": "10",
                "x-ratelimit-reset-requests": "0s",
            },
            (Reading("requests", 10, 10),),
        ),
    ],
)
def test_what_is_missing_or_garbage_is_unknown(
    headers: dict[str, str], expected: tuple[Reading, ...]
) -> None:
    """Nothing is concluded from a value that cannot be."""
    assert interpret(Response(200, headers, {})).readings == expected


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}, Usage(3, 4)),
        ({"usage": {"input_tokens": 3, "output_tokens": 4}}, Usage(3, 4)),
        ({"usage": {"prompt_tokens": 8, "total_tokens": 8}}, Usage(8, 0)),
        ({"usage": {"prompt_tokens": "x"}}, None),
        ({"usage": None}, None),
        ({}, None),
        ("text", None),
    ],
)
def test_usage(body: Any, usage: Usage | None) -> None:
    """In the names of both APIs."""
    assert interpret(Response(200, {}, body)).usage == usage


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "type", "x"]), inner)
    ),
    max_leaves=8,
)


@given(
    status=st.sampled_from([200, 201, 302, 400, 401, 404, 429, 500, 503]),
    body=JSON,
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "date", "x-ratelimit-remaining-tokens"]),
        st.text(max_size=12),
    ),
)
def test_no_answer_makes_it_raise(status: int, body: Any, headers: dict[str, str]) -> None:
    """Whatever a server says, there is a found."""
    found = interpret(Response(status, headers, body))
    assert isinstance(found.message, str)
    assert isinstance(found.code, str)
    assert found.delay is None or found.delay >= 0
    assert isinstance(found.readings, tuple)
