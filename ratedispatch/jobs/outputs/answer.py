"""
Reads the text of an answer, or the reason of a failure, from a result line. Pure.

Source: OpenAI's API reference, for the shapes of bodies; ``BatchRequestOutput``, for the line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from ratedispatch.jobs.outputs.cell_text import json_text
from ratedispatch.outcome import Response
from ratedispatch.providers.read.error_body import read_error
from ratedispatch.providers.read.usage import read_usage

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The most that a column of 64-bit integers holds. No count of tokens is near it.
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The outcome of a row.

    Args:
        status: ``answered``, or ``failed``.
        status_code: HTTP status of the last response; ``None`` if there was none.
        text: What was answered; ``None`` for a row that failed, and for an answer without any.
        prompt_tokens: As the provider reports them, if it does.
        output_tokens: The same.
        error: One sentence that ends in the error's code, in parentheses; ``None`` without one.
    """

    status: Literal["answered", "failed"]
    status_code: int | None = None
    text: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None


def read_answer(line: bytes | Mapping[str, Any]) -> Answer:
    """
    Return what *line*, a line of Batch output or the object on it, says.

    A row is answered if its response has a status below 400 and there is no error beside it.
    Never raises: a line that cannot be read is a failure that says so.
    """
    if isinstance(line, bytes):
        try:
            # decoded here, because json guesses at UTF-16 and UTF-32
            value = json.loads(line.decode())
        except (ValueError, RecursionError) as reason:
            return Answer("failed", error=f"the result of this row cannot be read: {reason}")
    else:
        value = line
    if not isinstance(value, Mapping):
        return Answer(
            "failed", error="the result of this row cannot be read: it is not a JSON object"
        )
    response = value.get("response")
    response = response if isinstance(response, dict) else {}
    status, body = _status(response.get("status_code")), response.get("body")
    usage = read_usage(body)
    prompt_tokens = _count(usage.prompt_tokens) if usage else None
    output_tokens = _count(usage.output_tokens) if usage else None
    error = _our_error(value.get("error"))
    if error is None and status is not None and status < 400:
        text, said = text_of(body), _error_within(body, status)
        return Answer("answered", status, text, prompt_tokens, output_tokens, said)
    if error is None:
        error = "the result of this row has no status" if status is None else _said(body, status)
    return Answer("failed", status, None, prompt_tokens, output_tokens, error)


def text_of(body: Any) -> str | None:
    """
    Return what *body*, the body of an answer, says; ``None`` if it says nothing.

    Several choices are a JSON array of their texts. Calls of tools, embeddings, moderations and
    bodies of any other shape are JSON.
    """
    if body is None or isinstance(body, str):
        return body
    if isinstance(body, dict):
        if _is_list(choices := body.get("choices")):
            texts = [_choice(choice) for choice in choices]
            return texts[0] if len(texts) == 1 else json_text(texts)
        if _is_list(items := body.get("output")):
            return _responses(items)
        if _is_list(data := body.get("data")) and all(_has(item, "embedding") for item in data):
            vectors = [item["embedding"] for item in data]
            # a vector in base64 is a text already
            return _text(vectors[0]) if len(vectors) == 1 else json_text(vectors)
        if _is_list(results := body.get("results")):
            return json_text(results)
    return json_text(body)


def _choice(choice: Any) -> str | None:
    """The text of a choice, of a chat or of the older completions."""
    if _has(choice, "message") and isinstance(choice["message"], dict):
        return _message(choice["message"])
    if _has(choice, "text") and isinstance(choice["text"], str):
        return choice["text"]
    return json_text(choice)


def _message(message: dict[str, Any]) -> str | None:
    content = message.get("content")
    if _is_list(content):
        content = _joined(content) or json_text(content)
    if content:
        return _text(content)
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        return refusal
    for calls in (message.get("tool_calls"), message.get("function_call")):
        if calls:
            return json_text(calls)
    audio = message.get("audio")
    if _has(audio, "transcript") and isinstance(audio["transcript"], str):
        return audio["transcript"]
    return "" if content == "" else None


def _responses(items: Iterable[Any]) -> str | None:
    """The text of the items of a response; what it wants to be called if it has none."""
    texts, calls = [], []
    for item in items:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "message":
            content = item.get("content")
            texts.append(_joined(content) if isinstance(content, list) else _text(content))
        elif kind != "reasoning":  # the reasoning is not part of the answer
            calls.append(item)
    # joined without a gap, as the SDK's `output_text` is
    if text := "".join(text for text in texts if text):
        return text
    if calls:
        return json_text(calls)
    return "" if texts else None


def _joined(parts: Iterable[Any]) -> str:
    """The texts and refusals among *parts* of a content, without a gap."""
    found = []
    for part in parts:
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, dict):
            text = part.get("text")
            text = part.get("refusal") if text is None else text
            found.append(text if isinstance(text, str) else "")
    return "".join(found)


def _our_error(error: Any) -> str | None:
    """The sentence of the error beside a response; ``None`` without one."""
    if error is None:
        return None
    if not isinstance(error, dict):
        return _sentence(_text(error), None)
    return _sentence(_text(error.get("message")), _text(error.get("code")))


def _error_within(body: Any, status: int) -> str | None:
    """What an answer says went wrong, although its status is that of a success."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict) and body["error"]:
        return _said(body, status)
    return None


def _said(body: Any, status: int) -> str:
    error = read_error(Response(status, {}, body))
    return _sentence(error.message or f"HTTP status {status}", error.code)


def _sentence(message: str | None, code: str | None) -> str:
    if not message:
        return code or "the row failed, and the result does not say why"
    return f"{message} ({code})" if code else message


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json_text(value)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) > 0


def _has(value: Any, name: str) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and name in value


def _status(value: Any) -> int | None:
    is_status = isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 999
    return value if is_status else None


def _count(number: int) -> int | None:
    return number if number <= _LARGEST else None
