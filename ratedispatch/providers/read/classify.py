"""
Decides what to do about a response.

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
from ratedispatch.providers.read.sign import is_pending
from ratedispatch.providers.read.statuses import passes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.outcome import Response
    from ratedispatch.providers.quirks import Quirks
    from ratedispatch.providers.read.error_body import ErrorBody
    from ratedispatch.providers.read.refusal import Refusal

#: Seconds to wait above which it is better to stop and be started again.
_NIGHT = 3600.0

#: A server that asks to come again, in words: a hint that it is worth asking again.
_LATER = re.compile(
    r"\btemporarily\b|\b(?:try|retry|retrying|again)\b[^.]{0,30}?\b"
    r"(?:later|soon|shortly|in a (?:few|moment|while))\b",
    re.IGNORECASE,
)

#: Codes and types that name a limit on the rate, which some servers send with a 400 or a 403:
#: ``ThrottlingException`` (Amazon), ``rateLimitExceeded`` (Google).
_RATE_CODE = re.compile(r"throttl|too_?many_?requests|rate_?limit", re.IGNORECASE)

_PER_DAY = re.compile(r"per[ -]day|\((?:RPD|TPD)\)")


def status_inside(error: ErrorBody, quirks: Sequence[Quirks]) -> int:
    """
    Return the HTTP status that *error*, inside an answer with status 200, stands for.

    0 if it says none.
    """
    status = error.number if error.number is not None and error.number >= 400 else None
    for name in (error.code, error.kind):
        for quirk in quirks:
            status = status or quirk.statuses.get(name)
    return status or (402 if is_quota(error, quirks) else 0)


def unanswered(response: Response, error: ErrorBody) -> tuple[Decision, str, str]:
    """
    Return what to do about a status 200 without an answer, its code and one sentence.

    It is tried again, whatever it is: the failure of an upstream looks like anything. Only what
    was taken in to be worked on later is not, since it would be done and billed twice.

    Args:
        response: The answer.
        error: What its body says; no status.
    """
    status = response.status
    if is_pending(status, response.body):
        state = response.body.get("status") if isinstance(response.body, dict) else None
        told = f' ("{state}")' if isinstance(state, str) else ""
        message = f"a receipt{told} instead of an answer: the request was accepted, not answered"
        return Decision.FAIL, "not_finished", message
    if error.is_told:
        return Decision.TRANSIENT, error.code or "error_in_answer", error.message
    text = error.message.partition(": ")[2]
    if isinstance(response.body, dict):
        message = f"status {status}, but no answer in it: {text or '{}'}"
        return Decision.TRANSIENT, "no_answer", message
    message = f"status {status}, but no JSON object: {text or 'an empty body'}"
    return Decision.TRANSIENT, "garbled_answer", message


def moved(response: Response, endpoint: str) -> tuple[str, str]:
    """Return the code and the sentence for a redirect that is not followed."""
    address = response.headers["location"].partition("?")[0][:300]
    tail = endpoint.partition("?")[0].removeprefix("/v1")
    base = address.removesuffix(tail) if tail else address
    if base == address:  # a page to sign in, say
        return "redirected", f"the server redirects (status {response.status}) to {address}"
    return "redirected", (
        f"the server redirects (status {response.status}) to {address}; if that is intended, "
        f"give {base} as the base URL"
    )


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
        quirks: The quirks of all providers.
    """
    if status == 402 or is_quota(error, quirks):
        return Decision.STOP, "quota"
    if status == 401:
        return Decision.STOP, "authentication"
    if status == 407:
        return Decision.STOP, "proxy_authentication"
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
    decision, code = _by_status(status, error)
    if delay is not None and decision in {Decision.FAIL, Decision.MISSING}:
        decision = Decision.TRANSIENT  # whatever it is, the server asks to come again
    return decision, code


def is_quota(error: ErrorBody, quirks: Sequence[Quirks]) -> bool:
    """Return whether no request succeeds until the account is paid for or its limit is raised."""
    code, kind, text = error.code, error.kind, error.text
    return any(
        code in quirk.quota_codes
        or kind in quirk.quota_codes
        or any(part in text for part in quirk.quota_texts)
        for quirk in quirks
    )


def _by_status(status: int, error: ErrorBody) -> tuple[Decision, str]:
    if status == 429 or (status in {400, 403} and _names_rate(error)):
        return Decision.RATE_LIMIT, error.code or "429"
    if status in {503, 529}:  # what it is about is measured, not read
        return Decision.OVERLOADED, error.code or str(status)
    if passes(status) or _LATER.search(error.text):
        return Decision.TRANSIENT, error.code or str(status)
    if status in {403, 404}:
        return Decision.MISSING, error.code or "not_found"
    return Decision.FAIL, error.code or str(status)


def _names_rate(error: ErrorBody) -> bool:
    return bool(_RATE_CODE.search(error.code) or _RATE_CODE.search(error.kind))
