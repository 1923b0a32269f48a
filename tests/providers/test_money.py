"""Errors that speak of money are in doubt; those of rates, servers and requests are not."""

from __future__ import annotations

from typing import Any

import pytest

from ratedispatch.outcome import Decision, Response
from ratedispatch.providers.registry import PROVIDERS

interpret = PROVIDERS["openai"].interpret


def error(status: int, message: str = "", **fields: Any) -> Response:
    return Response(status, {}, {"error": {"message": message, **fields}})


@pytest.mark.parametrize(
    "response",
    [
        error(429, "Your account is suspended, please recharge it"),
        error(429, "insufficient balance (1008)"),
        error(400, "You have reached your specified API usage limits."),
        error(400, "Access denied", code="Arrearage"),
        error(403, "Please make sure your account is in good standing."),
        error(403, "The account has an overdue amount", code="AccountOverdueError"),
        error(403, "用户额度不足", code="insufficient_user_quota"),
        error(404, "Your team does not have any credits yet"),
        error(429, "The daily free allocation is used up, please upgrade"),
        error(429, "Trial keys may make 1000 calls / month; for higher rate limits, see our site"),
        Response(403, {}, "Insufficient funds", is_json=False),
        Response(200, {}, {"base_resp": {"status_code": 1008, "status_msg": "low balance"}}),
    ],
)
def test_words_about_money_are_a_hint(response: Response) -> None:
    """Whatever the status is, and wherever they stand."""
    assert interpret(response, "/v1/chat/completions").decision is Decision.UNPAID


@pytest.mark.parametrize(
    ("response", "decision"),
    [
        (error(429, "Rate limit reached. Add a payment method to raise it"), Decision.RATE_LIMIT),
        (error(429, "Too many requests; see your billing page"), Decision.RATE_LIMIT),
        (error(429, "No balance. Please try again in 20s"), Decision.RATE_LIMIT),
        (error(502, "The load balancer has no upstream"), Decision.TRANSIENT),
        (error(500, "The billing service does not answer"), Decision.TRANSIENT),
        (error(400, "max_tokens must be above thinking.budget_tokens"), Decision.FAIL),
        (error(401, "No credit for this key"), Decision.STOP),
    ],
)
def test_what_says_more_than_a_hint_counts(response: Response, decision: Decision) -> None:
    """A limit, a time to wait, a fault of the server, or a parameter."""
    assert interpret(response).decision is decision
