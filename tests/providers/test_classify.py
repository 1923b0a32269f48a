"""What to do about the errors of each provider."""

from __future__ import annotations

from typing import Any

import pytest

from ratedispatch.limits import DAY, Reading
from ratedispatch.outcome import Decision, Interpretation, Response
from ratedispatch.providers.registry import PROVIDERS, QUIRKS

QUOTA_CODES = frozenset().union(*(quirk.quota_codes for quirk in QUIRKS))
interpret = PROVIDERS["openai"].interpret

GOOGLE = "type.googleapis.com/google.rpc"


def error(status: int, message: str = "", **fields: Any) -> Response:
    return Response(status, {}, {"error": {"message": message, **fields}})


def gemini(quota: str, delay: str | None = "34s", **more: Any) -> Response:
    """A refusal as Gemini's endpoint in OpenAI's format sends it: a list with one error."""
    violation = {"quotaId": quota, "quotaValue": "20"}
    details: list[Any] = [{"@type": f"{GOOGLE}.QuotaFailure", "violations": [violation]}]
    if delay is not None:
        details.append({"@type": f"{GOOGLE}.RetryInfo", "retryDelay": delay})
    message = "You exceeded your current quota, please check your plan and billing details."
    fields = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", **more}
    return Response(429, {}, [{"error": {**fields, "details": details}}])


def groq(status: int, numbers: str) -> Response:
    return error(
        status,
        f"Request too large for model `m` on tokens per minute (TPM): {numbers}, please reduce",
        type="tokens",
        code="rate_limit_exceeded",
    )


@pytest.mark.parametrize(
    ("response", "decision", "code"),
    [
        # engines whose queue is full
        (error(503, "The request queue is full."), Decision.QUEUE_FULL, "queue_full"),
        (error(429, "The request queue is full."), Decision.QUEUE_FULL, "queue_full"),
        (
            Response(
                503,
                {},
                {"error": "server busy, please try again.  maximum pending requests exceeded"},
            ),
            Decision.QUEUE_FULL,
            "queue_full",
        ),
        (
            Response(200, {}, {"error": "The request queue is full.", "code": 503}),
            Decision.QUEUE_FULL,
            "queue_full",
        ),
        (
            Response(200, {}, {"error": {"message": "The request queue is full.", "code": 503}}),
            Decision.QUEUE_FULL,
            "queue_full",
        ),
        (
            Response(
                200, {}, {"object": "error", "message": "The request queue is full.", "code": 503}
            ),
            Decision.QUEUE_FULL,
            "queue_full",
        ),
        (error(503, "Loading model", code=503), Decision.OVERLOADED, "503"),
        (
            Response(200, {}, {"error": {"message": "Loading model", "code": 503}}),
            Decision.OVERLOADED,
            "503",
        ),
        # Groq
        (groq(413, "Limit 6000, Requested 14368"), Decision.FAIL, "request_too_large"),
        (groq(413, "see the documentation"), Decision.FAIL, "request_too_large"),
        (
            error(413, "Reduce it", type="tokens", code="rate_limit_exceeded"),
            Decision.FAIL,
            "request_too_large",
        ),
        (error(413, "x", type="request_too_large"), Decision.FAIL, "request_too_large"),
        # Gemini
        (
            gemini("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            Decision.DAY_LIMIT,
            "day_limit",
        ),
        (
            gemini("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
            Decision.RATE_LIMIT,
            "429",
        ),
        (gemini("anything_per_day"), Decision.DAY_LIMIT, "day_limit"),
        (gemini("Anything"), Decision.RATE_LIMIT, "429"),
        (
            error(400, "no", code=400, details=[{"reason": "API_KEY_INVALID"}]),
            Decision.STOP,
            "authentication",
        ),
        # Anthropic
        (error(529, "Overloaded", type="overloaded_error"), Decision.OVERLOADED, None),
        (error(429, "slow", type="rate_limit_error"), Decision.RATE_LIMIT, "rate_limit_error"),
        (
            error(
                400,
                "Your credit balance is too low to access the Anthropic API. Please go to Plans",
                type="invalid_request_error",
            ),
            Decision.STOP,
            "quota",
        ),
        (error(400, "your credit balance, too", type="x"), Decision.UNPAID, "x"),
        (Response(200, {}, {"error": {"type": "overloaded_error"}}), Decision.OVERLOADED, None),
        # OpenRouter
        (error(402, "This request requires more credits", code=402), Decision.STOP, "quota"),
        (
            Response(200, {}, {"error": {"message": "requires more credits", "code": 402}}),
            Decision.STOP,
            "quota",
        ),
        (
            error(429, "Rate limit exceeded: free-models-per-day. Add 10 credits", code=429),
            Decision.DAY_LIMIT,
            "day_limit",
        ),
        (
            error(429, "No more", metadata={"limit_source": "openrouter_free_tier_daily"}),
            Decision.DAY_LIMIT,
            "day_limit",
        ),
        (error(429, "Rate limit exceeded: free-models-per-min."), Decision.RATE_LIMIT, "429"),
        (
            error(403, "flagged", code=403, metadata={"flagged_input": "…"}),
            Decision.FAIL,
            "flagged_input",
        ),
        (
            error(403, "Key limit exceeded (monthly limit). Manage it using x", code=403),
            Decision.STOP,
            "quota",
        ),
        # others
        (error(402, "Insufficient Balance"), Decision.STOP, "quota"),  # DeepSeek
        (error(400, "Budget!", type="budget_exceeded", code="400"), Decision.STOP, "quota"),
        (
            Response(429, {}, {"message": "Requests rate limit exceeded"}),
            Decision.RATE_LIMIT,
            "429",
        ),
        (Response(422, {}, {"detail": "Field required"}), Decision.FAIL, "422"),
        (Response(404, {}, {"object": "error", "code": 404}), Decision.MISSING, "404"),
        (
            error(429, "Resource Unavailable", code="resource_unavailable"),
            Decision.RATE_LIMIT,
            None,
        ),
        (error(429, "x", code=10**5000), Decision.RATE_LIMIT, "429"),
        (Response(200, {}, {"error": {"code": "²²²", "message": "x"}}), Decision.TRANSIENT, "²²²"),
    ],
)
def test_each_error(response: Response, decision: Decision, code: str | None) -> None:
    """By status, code and fields, and by the words of those who send nothing else."""
    found = interpret(response)
    assert found.decision is decision
    if code is not None:
        assert found.code == code


@pytest.mark.parametrize("code", sorted(QUOTA_CODES))
@pytest.mark.parametrize("status", [400, 402, 403, 429])
@pytest.mark.parametrize("field", ["code", "type"])
def test_a_quota_stops_whatever_the_status(code: str, status: int, field: str) -> None:
    """Different reports have different statuses and fields for the same code."""
    found = interpret(error(status, "Please pay", **{field: code}))
    assert (found.decision, found.code) == (Decision.STOP, "quota")


def test_a_code_goes_before_a_text() -> None:
    """A quota that is spent stops, even if its text asks to try again."""
    found = interpret(error(429, "The queue is full, try again in 2s", code="insufficient_quota"))
    assert found.decision is Decision.STOP


def test_a_used_up_day_says_how_long() -> None:
    """The message of a day limit that is far from free carries its wait."""
    message = "on requests per day (RPD): Limit 200, Used 200, Requested 1. Try again in 7m12s."
    assert interpret(error(429, message)) == Interpretation(
        Decision.DAY_LIMIT,
        "day_limit",
        message,
        432.0,
        "requests",
        (Reading("requests", 0, 200, DAY, DAY),),
    )
    soon = interpret(error(429, message.replace("7m12s", "8.64s")))
    assert (soon.decision, soon.delay) == (Decision.DAY_LIMIT, 8.64)


@pytest.mark.parametrize(
    ("response", "dimension"),
    [
        (error(429, "", type="tokens"), "tokens"),
        (error(429, "", type="requests"), "requests"),
        (error(429, "on requests per min (RPM): Limit 3", type="tokens"), "tokens"),
        (error(429, "on requests per min (RPM): Limit 3"), "requests"),
        (error(429, "on tokens per day (TPD): Limit 3"), "tokens"),
        (error(429, "rate limit of 40,000 input tokens per minute"), "input_tokens"),
        (error(429, "rate limit of 8,000 output tokens per minute"), "output_tokens"),
        (error(429, "have exceeded token rate limit of your current pricing tier"), "tokens"),
        (error(429, "have exceeded call rate limit of your current pricing tier"), "requests"),
        (error(429, "Limit type: tokens. Current limit: 2, Remaining: 2. Limit"), "tokens"),
        (gemini("GenerateContentInputTokensPerModelPerMinute-FreeTier"), "input_tokens"),
        (gemini("GenerateRequestsPerMinutePerProjectPerModel"), "requests"),
        (gemini("Anything"), None),
        (groq(413, "Limit 6000, Requested 14368"), "tokens"),
        (error(429, "Slow down"), None),
        (error(429, "", type="invalid"), None),
        (error(400, "", type="tokens"), None),
        (error(503, "The request queue is full"), None),
    ],
)
def test_which_limit_refused(response: Response, dimension: str | None) -> None:
    """By the type of the error, its details, its text; None where nothing is said."""
    assert interpret(response).dimension == dimension


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_has_the_same_rules(name: str) -> None:
    """Gateways pass on each other's errors, so the quirks of all of them apply to any."""
    read = PROVIDERS[name].interpret
    assert read(gemini("anything_per_day")).decision is Decision.DAY_LIMIT
    assert read(error(503, "The request queue is full.")).decision is Decision.QUEUE_FULL
    assert read(error(503, "Slow Down")).decision is Decision.OVERLOADED
    assert read(groq(413, "see the documentation")).code == "request_too_large"
    assert read(error(402)).decision is Decision.STOP


@pytest.mark.parametrize("code", ["queue_full", "slow_down", "day_limit", "overloaded"])
def test_a_code_of_the_provider_that_is_spelt_like_one_of_ours_steers_nothing(code: str) -> None:
    """The code is passed on for people to read; the decision is that of any other refusal."""
    found = interpret(error(429, "Too many requests", code=code))
    assert (found.decision, found.code) == (Decision.RATE_LIMIT, code)
    found = interpret(error(503, "Try later", code=code))
    assert (found.decision, found.code) == (Decision.OVERLOADED, code)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"__type": "com.amazon.coral#ThrottlingException", "message": "Slow down"}),
        (400, {"error": {"code": "TooManyRequestsException", "message": "Slow down"}}),
        (403, {"error": {"code": "rateLimitExceeded", "message": "Slow down"}}),
    ],
)
def test_a_code_that_names_a_rate_is_a_refusal(status: int, body: Any) -> None:
    """Whatever its status: gateways pass on what has another meaning in their own protocol."""
    found = PROVIDERS["generic"].interpret(Response(status, {}, body))
    assert found.decision is Decision.RATE_LIMIT
