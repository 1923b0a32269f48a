"""
What to do about an answer.

Pure. One set of rules for all providers, because gateways pass on each other's errors: by status,
then by code, then by fields of the body; by texts only where a server has nothing else. Knows
nothing of waiting, of clients or of buckets.

Sources: OpenAI's guides "Rate limits" and "Error codes", Anthropic's and Google's pages of error
codes, and for the shapes of messages the responses quoted in public issue threads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision, Ruling
from ratedispatch.providers import gemini, openrouter
from ratedispatch.providers.read.error_body import read_error
from ratedispatch.providers.read.refusal import dimension_of, read_refusal
from ratedispatch.providers.read.retry_after import read_delay

if TYPE_CHECKING:
    from ratedispatch.outcome import Response
    from ratedispatch.providers.read.error_body import ErrorBody
    from ratedispatch.providers.read.refusal import Refusal

#: Codes or types after which no request succeeds until somebody pays or raises a limit
#: ("retrying billing, spend or quota errors won't restore access", OpenAI's error-codes guide).
QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
        "access_terminated",
        "billing_error",  # Anthropic
        "budget_exceeded",  # LiteLLM's proxy
    }
)

#: Anthropic says it with status 400 and the code of any other invalid request.
_NO_CREDIT = "credit balance is too low to access"

#: Statuses of errors that come inside an answer with status 200, by code.
_STATUSES = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "server_error": 500,
    "api_error": 500,
    "overloaded_error": 529,
}

#: SGLang "The request queue is full."; Ollama "server busy, please try again.  maximum pending
#: requests exceeded". Neither has a code.
_QUEUE_FULL = re.compile(r"queue is full|maximum pending requests exceeded", re.IGNORECASE)


_ANSWERED = Ruling(Decision.ANSWERED)

#: Seconds to wait above which it is better to stop and be started again.
_NIGHT = 3600.0

_PER_DAY = re.compile(r"per[ -]day|\((?:RPD|TPD)\)")


def rule(response: Response) -> Ruling:
    """Return what to do about *response*."""
    if 200 <= response.status < 300:
        return _rule_success(response)
    return _rule_error(response.status, response, read_error(response))


def _rule_success(response: Response) -> Ruling:
    body = response.body
    if not response.is_json or not isinstance(body, dict):
        return Ruling(
            Decision.TRANSIENT, "garbled_answer", "the answer has status 200 but is not JSON"
        )
    is_error = body.get("error") or body.get("object") == "error"
    if not is_error or body.get("choices") or body.get("data") or body.get("output"):
        return _ANSWERED
    # some gateways wrap the upstream's failure in a 200; the Responses API reports its own there,
    # and SGLang's streams have begun before their error is known
    error = read_error(response)
    status = error.number or _STATUSES.get(error.code) or _STATUSES.get(error.kind) or 0
    if status in {402, 429} or status >= 500 or _is_quota(error):
        return _rule_error(status, response, error)
    return Ruling(Decision.FAIL, error.code or "error_in_answer", error.message)


def _rule_error(status: int, response: Response, error: ErrorBody) -> Ruling:
    delay = read_delay(response)
    if status not in {413, 429}:
        decision, code = _decide(status, error)
        return Ruling(decision, code, error.message, delay)
    refusal = read_refusal(error)
    decision, code = _decide_refusal(status, error, refusal, delay)
    return Ruling(decision, code, error.message, delay, dimension_of(error, refusal))


def _decide(status: int, error: ErrorBody) -> tuple[Decision, str]:
    if status == 402 or _is_quota(error):
        return Decision.STOP, "quota"
    code = error.code or str(status)
    match status:
        case 401:
            return Decision.STOP, "authentication"
        case 400 if gemini.is_wrong_key(error):
            return Decision.STOP, "authentication"
        case 403 if openrouter.is_key_spent(error):
            return Decision.STOP, "quota"
        case 403 if openrouter.is_flagged(error):
            return Decision.FAIL, "flagged_input"
        case 403 | 404:
            return Decision.MISSING, error.code or "not_found"
        case 503 if "slow down" in error.text.lower():
            return Decision.RATE_LIMIT, "slow_down"
        case 503 if _QUEUE_FULL.search(error.text):
            return Decision.RATE_LIMIT, "queue_full"
        case 408 | 409:
            return Decision.TRANSIENT, code
    return (Decision.TRANSIENT if status >= 500 else Decision.FAIL), code


def _decide_refusal(
    status: int, error: ErrorBody, refusal: Refusal, delay: float | None
) -> tuple[Decision, str]:
    """What to do about a 429, and about Groq's 413, which is one for a request above its limit."""
    if _is_quota(error):
        return Decision.STOP, "quota"
    if refusal.is_hopeless or error.message.startswith("Request too large"):
        return Decision.FAIL, "request_too_large"
    if status == 413:
        is_refusal = error.code == "rate_limit_exceeded"
        return Decision.FAIL, "request_too_large" if is_refusal else error.code or "413"
    if gemini.is_day_limit(error) or openrouter.is_day_limit(error):
        return Decision.STOP, "day_limit"
    # a day's bucket refills too, so the wait for the next request alone may be seconds
    if _PER_DAY.search(error.text) or (delay is not None and delay > _NIGHT):
        return Decision.STOP, "day_limit"
    if _QUEUE_FULL.search(error.text):
        return Decision.RATE_LIMIT, "queue_full"
    return Decision.RATE_LIMIT, error.code or "429"


def _is_quota(error: ErrorBody) -> bool:
    return error.code in QUOTA_CODES or error.kind in QUOTA_CODES or _NO_CREDIT in error.text
