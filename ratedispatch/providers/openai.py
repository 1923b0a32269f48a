"""
What OpenAI's headers and error bodies mean, and those of servers that speak its dialect.

Pure. Knows nothing of waiting, of clients or of buckets.

Sources: OpenAI's guides "Rate limits" and "Error codes", and for the shapes of messages the
responses quoted in public issue threads.
"""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ratedispatch.limits import Reading
from ratedispatch.outcome import Decision, Response, Ruling, Usage
from ratedispatch.providers.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Codes after which no request succeeds until somebody pays or raises a limit ("retrying
#: billing, spend or quota errors won't restore access", error-codes guide).
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
    }
)

#: Seconds above which a refusal is about a day's limit rather than a minute's.
_LONGEST_PAUSE = 300.0

#: Seconds to wait above which it is better to stop and be started again.
_NIGHT = 3600.0

_REQUESTED = re.compile(r"Limit:? ([\d,]+).*?Requested:? ([\d,]+)", re.DOTALL)
_TRY_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) ([\d.]+ ?(?:[a-zµ]+[\d.a-zµ]*)?)", re.IGNORECASE
)
_PER_DAY = re.compile(r"per[ -]day|\((?:RPD|TPD)\)")


def read_limits(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return what *headers* (lower-case names) say about the request and token buckets.

    A value that is missing, negative or not a number means unknown. The window follows from
    ``reset``, the time until the bucket is full: ``reset × limit / (limit - remaining)``; it
    tells a bucket of a day from one of a minute, which share their header names.
    """
    readings = []
    for dimension in ("requests", "tokens"):
        remaining = _number(headers.get(f"x-ratelimit-remaining-{dimension}"))
        if remaining is None:
            continue
        limit = _number(headers.get(f"x-ratelimit-limit-{dimension}")) or None
        reset = parse_duration(headers.get(f"x-ratelimit-reset-{dimension}", ""))
        window = None
        if limit is not None and reset is not None and remaining < limit:
            window = reset * limit / (limit - remaining)
        readings.append(Reading(dimension, remaining, limit, window))
    return tuple(readings)


def rule(response: Response) -> Ruling:
    """Return what to do about *response*, by status and code; texts are read for numbers only."""
    if 200 <= response.status < 300:
        return _rule_success(response)
    code, message = _error(response)
    delay = read_delay(response)
    if code in QUOTA_CODES or response.status == 402:
        return Ruling(Decision.STOP, "quota", message, delay)
    match response.status:
        case 429:
            return _rule_refusal(code, message, delay)
        case 401:
            return Ruling(Decision.STOP, "authentication", message, delay)
        case 403 | 404:
            return Ruling(Decision.MISSING, code or "not_found", message, delay)
        case 503 if "slow down" in message.lower():
            return Ruling(Decision.RATE_LIMIT, "slow_down", message, delay)
        case 408 | 409:
            return Ruling(Decision.TRANSIENT, code or str(response.status), message, delay)
        case status if status >= 500:
            return Ruling(Decision.TRANSIENT, code or str(status), message, delay)
    return Ruling(Decision.FAIL, code or str(response.status), message, delay)


def read_delay(response: Response) -> float | None:
    """
    Return the seconds that *response* asks to wait at least; ``None`` if it does not.

    Milliseconds before seconds before a date before the text, as the openai SDK reads them.
    The date is taken against the server's own ``Date``, so no clock is read here.
    """
    headers = response.headers
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after", "")
    seconds = parse_duration(after)
    if seconds is not None:
        return seconds
    if after and "date" in headers:
        try:
            gap = parsedate_to_datetime(after) - parsedate_to_datetime(headers["date"])
            return max(0.0, gap.total_seconds())
        except (TypeError, ValueError):
            pass
    if match := _TRY_AGAIN.search(_error(response)[1]):
        return parse_duration(match[1].replace(" seconds", "s").replace(" ", "").rstrip("."))
    return None


def read_usage(body: Any) -> Usage | None:
    """Return the usage that an answer reports, in either API's names; ``None`` without one."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    output = usage.get("completion_tokens", usage.get("output_tokens", 0))
    if not isinstance(prompt, int) or not isinstance(output, int):
        return None
    return Usage(prompt, output)


def _rule_success(response: Response) -> Ruling:
    body = response.body
    if not response.is_json or not isinstance(body, dict):
        return Ruling(
            Decision.TRANSIENT, "garbled_answer", "the answer has status 200 but is not JSON"
        )
    error = body.get("error")
    if not error or any(body.get(field) for field in ("choices", "data", "output")):
        return Ruling(Decision.ANSWERED)
    # some gateways wrap the upstream's failure in a 200; the Responses API reports its own there
    code, message = _error(response)
    if code in {"rate_limit_exceeded", "429"}:
        return Ruling(Decision.RATE_LIMIT, code, message, read_delay(response))
    if code in QUOTA_CODES:
        return Ruling(Decision.STOP, "quota", message)
    if code == "server_error" or (code.isdigit() and int(code) >= 500):
        return Ruling(Decision.TRANSIENT, code, message)
    return Ruling(Decision.FAIL, code or "error_in_answer", message)


def _rule_refusal(code: str, message: str, delay: float | None) -> Ruling:
    numbers = _REQUESTED.search(message)
    if numbers is not None:
        limit, requested = (int(number.replace(",", "")) for number in numbers.groups())
        if requested > limit:
            return Ruling(Decision.FAIL, "request_too_large", message, delay)
    if message.startswith("Request too large"):
        return Ruling(Decision.FAIL, "request_too_large", message, delay)
    is_daily = _PER_DAY.search(message) and (delay is None or delay > _LONGEST_PAUSE)
    if is_daily or (delay is not None and delay > _NIGHT):
        return Ruling(Decision.STOP, "day_limit", message, delay)
    return Ruling(Decision.RATE_LIMIT, code or "429", message, delay)


def _error(response: Response) -> tuple[str, str]:
    """The code (or type) and message of an error body; a summary if it has another shape."""
    body = response.body
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        code = error.get("code") or error.get("type") or ""
        message = error.get("message") or error.get("detail") or ""
        if isinstance(code, str | int) and isinstance(message, str) and (code or message):
            quota = error.get("type") == "insufficient_quota"
            return ("insufficient_quota" if quota else str(code)), message
    text = error if isinstance(error, str) else ""
    summary = " ".join(text.split())[:200]
    return "", summary or f"HTTP status {response.status}"


def _number(text: str | None) -> float | None:
    """A finite number of at least zero, or ``None``."""
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if number >= 0 and math.isfinite(number) else None
