"""
Parses and writes the lines of OpenAI's Batch files.

Pure: text to requests, and outcomes to text.

Source: OpenAI's Batch guide and the schemas ``BatchRequestInput`` and ``BatchRequestOutput``.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch import _json
from ratedispatch.errors import InvalidRequest
from ratedispatch.outcome import Completed
from ratedispatch.request import CHAT, ENDPOINTS, Request, endpoint_like

if TYPE_CHECKING:
    from ratedispatch.outcome import Failed, Outcome

#: Digits of the row number in the ``id`` of an output line. With it, and the digest of the row
#: that follows, a line tells in its first bytes what it answers, so that resuming a job need not
#: parse the answers written so far.
ROW_DIGITS = 12
HEAD = b'{"id":"batch_req_'
_HEAD = re.compile(HEAD + rb'(\d{12})(?:-([0-9a-f]{16}))?"')

#: What follows the body of an answer on its line.
_BEHIND_BODY = b'},"error":null}\n'

# made once: with non-default settings, json.dumps makes a new encoder for each call
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


#: The name of a row in Batch format that begins with it, without escapes.
_LEADING_NAME = re.compile(rb'\s*\{\s*"custom_id"\s*:\s*"([^"\\\x00-\x1f]+)"')
_KEY = b'"custom_id"'

#: An ASCII character that is escaped although it need not be, as the key itself might be.
_ESCAPE = re.compile(rb"\\u00[2-7]")
_ESCAPE_BEGIN = b"\\u00"


@dataclass(frozen=True, slots=True)
class BadRow:
    """
    A line that does not contain a request.

    Args:
        row: Line number, counted from 1.
        custom_id: Its name, if it has one.
        code: A short reason for machines.
        message: One sentence that names the line.
    """

    row: int
    custom_id: str | None
    code: str
    message: str


def parse_line(line: bytes, row: int, endpoint: str | None = None) -> Request | BadRow:
    """
    Return the request on *line*, or a :class:`BadRow` if it does not contain one.

    Args:
        line: A row, in the Batch format of OpenAI or of another provider.
        row: Its number.
        endpoint: Where it goes if it does not say so itself.
    """
    custom_id: str | None = None
    try:
        value = _decode(line)
        if not isinstance(value, dict):
            raise InvalidRequest(f"expected a JSON object, got {_kind(value)}")
        custom_id = _custom_id(value)
        url = value.get("url")
        if not isinstance(url, str) or url not in ENDPOINTS:
            url = _endpoint(value, endpoint)
        method = value.get("method", "POST")
        if method != "POST" and not (isinstance(method, str) and method.upper() == "POST"):
            raise InvalidRequest(f"method must be 'POST', got {str(method)[:80]!r}")
        body = value.get("body")
        if body is None:
            raise InvalidRequest("body is missing")
        if not isinstance(body, dict):
            raise InvalidRequest(f"body must be a JSON object, got {_kind(body)}")
        if body.get("background"):
            raise InvalidRequest(
                "body.background must not be true: the response would be a receipt, not an answer"
            )
        if body.get("stream"):
            raise InvalidRequest("body.stream must not be true: an answer is written whole")
    except InvalidRequest as error:
        return BadRow(row, custom_id, "invalid_line", f"line {row}: {error}")
    return Request(body, url, custom_id, row, was_read=True)


def _endpoint(value: dict[str, Any], default: str | None) -> str:
    """Return the endpoint of a row whose ``url`` is missing or not spelled as OpenAI does."""
    url, body = value.get("url"), value.get("body")
    if url is None:
        if default is not None:
            return default
        if isinstance(body, dict) and isinstance(body.get("messages"), list):
            return CHAT
        raise InvalidRequest("url is missing; name the endpoint of such rows with --endpoint")
    found = endpoint_like(url) if isinstance(url, str) else None
    if found is None:
        known = ", ".join(sorted(ENDPOINTS))
        raise InvalidRequest(f"url {str(url)[:80]!r} is not one of {known}")
    return found


def quick_name(line: bytes) -> bytes | None:
    """
    Return the ``custom_id`` that *line* begins with; None if it has none or is not that simple.

    A line on which the key stands twice is not that simple: the last one counts.
    """
    match = _LEADING_NAME.match(line)
    if match is None or line.find(_KEY, match.end()) >= 0:
        return None
    if _ESCAPE_BEGIN in line and _ESCAPE.search(line) is not None:
        return None
    return match[1]


def answer_line(outcome: Completed, digest: str = "") -> bytes:
    """Return the output line of an answered request, with its newline."""
    response, request = outcome.response, outcome.request
    # the body is the last thing but one: where its text is there, it is put in as it came, since
    # to encode its value again takes five times as long
    body = response.body if response.text is None else None
    answer = {"status_code": response.status, "request_id": response.request_id, "body": body}
    line = _line(request.row, digest, request.custom_id, answer, None)
    if response.text is None:
        return line
    return line.removesuffix(b"null" + _BEHIND_BODY) + _json.compact(response.text) + _BEHIND_BODY


def failure_line(failed: Failed, digest: str = "") -> bytes:
    """
    Return the error line of a request that failed, with its newline.

    A refusal by the provider keeps its response; everything else has an ``error``.
    """
    response = failed.response
    answer = None
    if response is not None and response.is_json:
        answer = {
            "status_code": response.status,
            "request_id": response.request_id,
            "body": response.body,
        }
    error = None
    if answer is None or response is None or response.status < 400:
        error = {"code": failed.code, "message": failed.message}
    return _line(failed.request.row, digest, failed.request.custom_id, answer, error)


def bad_row_line(bad: BadRow, digest: str = "") -> bytes:
    """Return the error line of a row that is not a request, with its newline."""
    error = {"code": bad.code, "message": bad.message, "line": bad.row}
    return _line(bad.row, digest, bad.custom_id, None, error)


def outcome_line(outcome: Outcome, digest: str = "") -> bytes:
    """
    Return the line for *outcome*, whichever it is.

    Args:
        outcome: What came of a request.
        digest: The digest of the row, 16 hexadecimal digits; left out if empty.
    """
    if isinstance(outcome, Completed):
        return answer_line(outcome, digest)
    return failure_line(outcome, digest)


class Head(NamedTuple):
    """
    The row that a result line belongs to.

    Args:
        row: The number of the row.
        digest: The digest of its content; empty if the line does not tell.
    """

    row: int
    digest: str


def head_of(line: bytes) -> Head | None:
    """Return the row that a result line belongs to; None if the line is not ours."""
    match = _HEAD.match(line)
    return None if match is None else Head(int(match[1]), (match[2] or b"").decode())


def row_of(line: bytes) -> int | None:
    """Return the row number of an output or error line; ``None`` if the line is not ours."""
    match = _HEAD.match(line)
    return None if match is None else int(match[1])


def moved(line: bytes, row: int) -> bytes:
    """Return the result line *line* as that of the row number *row*."""
    start = line.index(b"_req_") + len(b"_req_")
    return line[:start] + b"%0*d" % (ROW_DIGITS, row) + line[start + ROW_DIGITS :]


def _line(row: int | None, digest: str, custom_id: str | None, response: Any, error: Any) -> bytes:
    suffix = f"-{digest}" if digest else ""
    value = {
        "id": f"batch_req_{row or 0:0{ROW_DIGITS}d}{suffix}",
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
    if error is None and response["body"] is None:  # names and a status: no NaN among them
        with contextlib.suppress(UnicodeEncodeError):
            return _json.encode(value) + b"\n"
    try:
        text = _ENCODER.encode(value)
    except ValueError:  # Python reads NaN and 1e999, which JSON has not
        value = _finite(value)
        text = _ENCODER.encode(value)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8, but an escape has it
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _finite(value: Any) -> Any:
    """Return *value* with null for each number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return value


def _decode(line: bytes) -> Any:
    try:
        return _json.loads(line, is_strict=True)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"not UTF-8: {error.reason} at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at")
        raise InvalidRequest(f"not JSON: {reason} at column {error.colno}") from error
    except RecursionError as error:
        raise InvalidRequest("JSON that cannot be read: nested too deeply") from error
    except _json.NoJsonNumber as error:
        raise InvalidRequest(f"not JSON: {error}") from error
    except ValueError as error:  # a number of more than 4,300 digits
        raise InvalidRequest(f"JSON that cannot be read: {error}") from error


def _custom_id(value: dict[str, Any]) -> str:
    custom_id = value.get("custom_id")
    if custom_id is None:
        raise InvalidRequest("custom_id is missing")
    if not isinstance(custom_id, str) or not custom_id:
        raise InvalidRequest(f"custom_id must be a non-empty string, got {custom_id!r:.80}")
    return custom_id


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
