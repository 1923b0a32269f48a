"""
What to do about an answer.

Decides by status, then by code, then by fields of the body; by a text only where a server sends
nothing else. One set of rules for all providers, and their quirks. Knows nothing of waiting, of
clients or of buckets.

Sources: the providers' pages of error codes, and for the shapes of messages the responses quoted
in public issue threads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ratedispatch.providers.quirks import Quirks
    from ratedispatch.providers.read.error_body import ErrorBody
    from ratedispatch.providers.read.refusal import Refusal

#: Seconds to wait above which it is better to stop and be started again.
_NIGHT = 3600.0

_PER_DAY = re.compile(r"per[ -]day|\((?:RPD|TPD)\)")


def has_output(body: Mapping[str, Any]) -> bool:
    """
    Return whether *body*, with status 200 and an error inside, is an answer all the same.

    Some gateways wrap the failure of their upstream in a 200, the Responses API reports its own
    failure there, and some streams have begun before their error is known. None of these has any
    output.
    """
    return bool(body.get("choices") or body.get("data") or body.get("output"))


def status_inside(error: ErrorBody, quirks: Sequence[Quirks]) -> int:
    """
    Return the HTTP status that *error*, inside an answer with status 200, stands for.

    0 if it says none of a refusal, a failure of the server, or a quota: then only the request
    has failed.
    """
    status = error.number
    for name in (error.code, error.kind):
        for quirk in quirks:
            status = status or quirk.statuses.get(name)
    status = status or 0
    if status in {402, 429} or status >= 500:
        return status
    return (status or 402) if is_quota(error, quirks) else 0


def classify(
    status: int,
    error: ErrorBody,
    refusal: Refusal | None,
    delay: float | None,
    quirks: Sequence[Quirks],
) -> tuple[Decision, str]:
    """
    Return what to do about an error, and its code.

    Args:
        status: The HTTP status.
        error: What the body says.
        refusal: The numbers in the text of a refusal, status 413 or 429.
        delay: Seconds that the server asks to wait.
        quirks: Those of all providers.
    """
    if status == 402 or is_quota(error, quirks):
        return Decision.STOP, "quota"
    if status == 401:
        return Decision.STOP, "authentication"
    if refusal is not None:
        if refusal.is_hopeless or error.message.startswith("Request too large"):
            return Decision.FAIL, "request_too_large"
        # a day's bucket refills too, so the wait for the next request alone may be seconds
        is_long = delay is not None and delay > _NIGHT
        if status == 429 and (is_long or _PER_DAY.search(error.text)):
            return Decision.DAY_LIMIT, "day_limit"
    for quirk in quirks:
        found = quirk.classify(status, error)
        if found is not None:
            return found
    return _by_status(status, error)


def is_quota(error: ErrorBody, quirks: Sequence[Quirks]) -> bool:
    """Return whether no request succeeds until somebody pays or raises a limit."""
    code, kind, text = error.code, error.kind, error.text
    return any(
        code in quirk.quota_codes
        or kind in quirk.quota_codes
        or any(part in text for part in quirk.quota_texts)
        for quirk in quirks
    )


def _by_status(status: int, error: ErrorBody) -> tuple[Decision, str]:
    match status:
        case 429:
            return Decision.RATE_LIMIT, error.code or "429"
        case 403 | 404:
            return Decision.MISSING, error.code or "not_found"
        case 408 | 409:
            return Decision.TRANSIENT, error.code or str(status)
    decision = Decision.TRANSIENT if status >= 500 else Decision.FAIL
    return decision, error.code or str(status)
