"""
The bodies of errors, in whatever shape a server wraps them.

Pure. Finds the code, the type and the message; decides nothing about them.
Shapes: OpenAI's ``{"error": {…}}``; Gemini's list around it; FastAPI's ``{"detail": …}``; the
bare object of vLLM, SGLang and Mistral, and Amazon's with a ``__type``; a text or a web page. In
any other shape, the outermost object with a message is the error, wherever it stands; without one,
the body itself is told.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.outcome import Response

#: Characters of a message in which numbers are looked for. Those of providers are far shorter;
#: an HTML page in place of a message is not searched through.
LONGEST_TEXT = 4000

_LARGEST_CODE = 10**9

#: Names under which a code, a status and a message stand, the most usual ones first.
_CODES = ("code", "error_code", "status_code")
_STATUSES = ("code", "status_code", "status")
_MESSAGES = ("message", "detail")
_MESSAGE_ENDS = ("msg", "message", "detail", "faultstring", "title")

#: Levels below the body, and fields of each, in which an error is looked for.
_LEVELS = 3
_MOST_LOOKED_AT = 20

#: Characters of a summary.
_LONGEST_SUMMARY = 200


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """
    What an error body says.

    Args:
        code: The provider's code, or its type where there is no code; may be empty.
        kind: Its type; may be empty.
        number: The HTTP status that the body names, if it does.
        message: One sentence; a summary if the body has another shape.
        fields: The object that the rest is in, for what is particular to a provider.
        is_told: Whether the body has a code, a type or a message, in whatever shape.
    """

    code: str = ""
    kind: str = ""
    number: int | None = None
    message: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    is_told: bool = True

    @property
    def text(self) -> str:
        """As much of the message as is examined."""
        return self.message[:LONGEST_TEXT]


def read_error(response: Response) -> ErrorBody:
    """Return what the body of *response* says, which need not be an error at all."""
    body = response.body
    if isinstance(body, list) and body and isinstance(body[0], dict):
        body = body[0]
    if not isinstance(body, dict):
        return ErrorBody(message=_plain(body, response), is_told=False)
    outer_number = _number(body)
    error = body.get("error")
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, str) and error:
        message = " ".join(error[:LONGEST_TEXT].split())[:200]
        more = _sentence_of(body)
        message = f"{message}: {more}" if more and more != message else message
        return ErrorBody(number=outer_number, message=message, fields=body)
    if not isinstance(error, dict):
        error = body if _has_code(body) or _sentence_of(body) else _inner(body, _LEVELS) or body
    code = next(filter(None, (_name(error.get(name)) for name in _CODES)), "")
    kind = _name(error.get("type")) or _name(error.get("__type")).rpartition("#")[2]
    message = _sentence_of(error)
    is_told = bool(code or kind or message)
    if not is_told:
        message = _plain(body, response)
    number = _number(error) or outer_number
    return ErrorBody(code or kind, kind, number, message, error, is_told)


def summary_of(text: str) -> str:
    """Return what a *text* in place of JSON is about, on one line: a page by its title."""
    head = text[:LONGEST_TEXT]
    lower = head.lower()
    if "<html" not in lower and "<!doctype html" not in lower:
        return " ".join(head.split())[:_LONGEST_SUMMARY]
    title = head[lower.find("<title") : lower.find("</title")] if "<title" in lower else ""
    name = " ".join(html.unescape(title.partition(">")[2]).split())[:_LONGEST_SUMMARY]
    return f'a web page, "{name}"' if name else "a web page"


def _plain(body: object, response: Response) -> str:
    """The message of a body without one: its text, or its JSON."""
    if isinstance(body, str):
        text = summary_of(body)
    elif body:
        try:
            text = json.dumps(body, ensure_ascii=False)[:_LONGEST_SUMMARY]
        except (ValueError, RecursionError):  # numbers of thousands of digits, or nested deeply
            text = ""
    else:
        text = ""
    status = f"HTTP status {response.status}"
    return f"{status}: {text}" if text else status


def _inner(body: object, levels: int) -> Mapping[str, Any] | None:
    """The first object below *body* that has a code or a message; None if there is none."""
    below = list(body.values()) if isinstance(body, dict) else body
    if not levels or not isinstance(below, list):
        return None
    for item in below[:_MOST_LOOKED_AT]:
        if isinstance(item, dict) and (_sentence_of(item) or _has_code(item)):
            return item
        found = _inner(item, levels - 1)
        if found is not None:
            return found
    return None


def _has_code(error: Mapping[str, Any]) -> bool:
    return any(error.get(name) for name in _CODES)


def _sentence_of(error: Mapping[str, Any]) -> str:
    """The message of *error*: under the usual names, or under one that ends like them."""
    for name in _MESSAGES:
        if found := _sentence(error.get(name)):
            return found
    names = [
        name
        for name, value in error.items()
        if isinstance(value, str) and value and str(name).lower().endswith(_MESSAGE_ENDS)
    ]
    return str(error[names[0]]) if names else ""


def _number(error: Mapping[str, Any]) -> int | None:
    return next(filter(None, (_status(error.get(name)) for name in _STATUSES)), None)


def _name(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        # Python refuses to write out numbers of thousands of digits
        return str(value) if 0 < value < _LARGEST_CODE else ""
    return ""


def _status(value: object) -> int | None:
    """A number of three digits, as HTTP's are, also in quotes; None for anything else."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 999:
        return value
    return None


def _sentence(value: object) -> str:
    if isinstance(value, list) and value:  # FastAPI's, one for each field that is wrong
        value = value[0]
    if isinstance(value, dict):
        value = value.get("message") or value.get("error") or value.get("msg")
    return value if isinstance(value, str) else ""
