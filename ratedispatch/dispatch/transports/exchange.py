"""What all transports share: request header and body, reading an answer, connection timeouts."""

from __future__ import annotations

import contextlib
import datetime
import json
from typing import TYPE_CHECKING, Any

from ratedispatch import _json
from ratedispatch.outcome import Response
from ratedispatch.providers.read.event_stream import looks_streamed, read_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.request import Request

#: Seconds to open a connection, as in the SDK. One that takes longer uses up no attempt: the queue
#: holds and probes.
CONNECT_TIMEOUT = 5.0

#: Seconds an idle connection is kept. Just below the 5 s after which uvicorn, the most common
#: server in this field, closes its end: a request sent into a closing connection is lost.
KEEPALIVE_EXPIRY = 4.0

#: The most that OpenAI accepts in the header; with more, it refuses the request.
_LONGEST_NAME = 512

#: Bytes of a body that is not JSON which are kept: what it is about stands at its beginning.
_LONGEST_TEXT = 2**20


def headers_of_request(request: Request) -> dict[str, str]:
    """
    Return the headers of *request* alone: its own, and one that names it.

    By that name a provider's support finds a request that was never answered.
    """
    name = request.custom_id
    headers = {}
    if name and len(name) <= _LONGEST_NAME and name.isascii() and name.isprintable():
        headers["X-Client-Request-Id"] = name
    return with_headers(headers, request.headers) if request.headers else headers


def with_headers(headers: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* with *others* in place of those of the same names, in any case."""
    replaced = {name.lower() for name in others}
    kept = {name: value for name, value in headers.items() if name.lower() not in replaced}
    return kept | dict(others)


def _plain(value: object) -> object:
    """What the SDK makes of values that are no JSON: dates, and pydantic's models."""
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(exclude_unset=True, mode="json", by_alias=True)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
)


def write_body(body: Mapping[str, Any], *, was_read: bool = False) -> bytes:
    """
    Return *body* as the SDK writes it.

    Args:
        body: What to send.
        was_read: Whether it was read from JSON: then it is written in 1 µs instead of 7, which
            is 3 % of what a request of 200 tokens costs.
    """
    if was_read:
        with contextlib.suppress(UnicodeEncodeError, RecursionError):
            content = _json.encode(body)
            if b"null" not in content:  # which may stand for a number beyond a double
                return content
    text = _ENCODER.encode(body)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return without_lone_surrogates(text).encode()


def read_answer(status: int, headers: Mapping[str, str], content: bytes) -> Response:
    """
    Return the response: JSON if *content* is JSON, whatever its type says, else its text.

    A stream of events, which was not requested, is put together.
    """
    try:
        body, is_plain = _json.read(content)
        return Response(status, headers, body, text=content if is_plain else None)
    except (ValueError, RecursionError):
        return _read_odd(status, headers, content)


def _read_odd(status: int, headers: Mapping[str, str], content: bytes) -> Response:
    """Return the response whose *content* is not JSON in any UTF."""
    kind = headers.get("content-type", "").lower()
    charset = kind.partition("charset=")[2].strip(" \"';").partition(";")[0]
    if charset and not charset.startswith("utf"):
        try:
            return Response(status, headers, json.loads(content.decode(charset)))
        except (ValueError, RecursionError, LookupError):
            pass
    try:  # a character that a cap has cut in two, a line break in a text: the rest is whole
        return Response(
            status, headers, json.loads(content.decode("utf-8", "replace"), strict=False)
        )
    except (ValueError, RecursionError):
        pass
    text = content[:_LONGEST_TEXT].decode("utf-8", "replace")
    if looks_streamed(text):
        body = read_stream(content.decode("utf-8", "replace"))
        if body is not None:
            return Response(status, headers, body)
    return Response(status, headers, text, is_json=False)


def without_lone_surrogates(text: str) -> str:
    """Return *text* with a replacement for each half of a surrogate pair: it has no UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sentence(error: BaseException) -> str:
    """Return what *error* says, on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__
