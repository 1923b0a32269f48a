"""
Tells whether a body with status 200 holds an answer, by a positive sign of it.

Pure. The sign depends on the endpoint: something said in a choice, an embedding, a finished
response, a result of moderation. A body without its sign is not an answer, whatever its status: a
receipt, the failure of an upstream, an error in a dialect of its own, nothing at all.

Sources: OpenAI's API reference (the values of ``finish_reason`` and of a response's ``status``);
for choices that failed, OpenRouter's "API overview" (``error``), DeepSeek's "Create chat
completion" (``insufficient_system_resource``) and SGLang (``abort``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.request import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.outcome import Usage

#: Reasons for an end that the model itself came to, or its cap.
ENDED = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})

#: Ends after which nothing said is an answer too: the cap was used up by thinking, or a filter
#: took out what was said. The same request ends so again.
_MAY_BE_SILENT = frozenset({"length", "content_filter"})

#: Ends of a choice that failed on the way, whatever it had said by then; and all whose name says
#: so, such as ``network_error``.
_BROKEN_OFF = frozenset({"abort", "insufficient_system_resource"})

#: What a message holds beside what it says, and what a part of one does.
_LABELS = frozenset({"role", "name", "id", "type", "object", "index"})
_PART_LABELS = frozenset({"role", "type", "index"})

#: States of a response that is complete, the second one within its cap.
_DONE = frozenset({"completed", "incomplete"})

#: States of a response that is yet to be made.
_PENDING = frozenset({"queued", "in_progress"})

#: Levels of a value that are searched for a word; what lies deeper counts as said.
_LEVELS = 4


def holds_answer(body: Mapping[str, Any], endpoint: str, usage: Usage | None) -> bool:
    """
    Return whether *body*, which came with status 200, answers a request to *endpoint*.

    Args:
        body: The JSON object.
        endpoint: As `Request` has it. Of one that is not known, any sign will do.
        usage: What *body* reports.
    """
    return _SIGNS.get(endpoint.partition("?")[0], _of_anything)(body, usage)


def is_pending(status: int, body: object) -> bool:
    """Return whether *body*, without an answer, is a receipt: the work is yet to be done."""
    if not isinstance(body, dict):
        return status == 202
    state = body.get("status")
    return status == 202 or (isinstance(state, str) and state in _PENDING)


def _of_choices(body: Mapping[str, Any], usage: Usage | None) -> bool:
    choices = body.get("choices")
    return isinstance(choices, list) and any(_is_whole(choice, usage) for choice in choices)


def _of_data(body: Mapping[str, Any], _: Usage | None) -> bool:
    data = body.get("data")
    if not isinstance(data, list) or not data:
        return False
    first = data[0]
    return bool(first.get("embedding", True) if isinstance(first, dict) and first else first)


def _of_response(body: Mapping[str, Any], _: Usage | None) -> bool:
    state = body.get("status")
    if state is None:
        return bool(body.get("output")) and not body.get("error")
    return isinstance(state, str) and state in _DONE and not body.get("error")


def _of_results(body: Mapping[str, Any], _: Usage | None) -> bool:
    results = body.get("results")
    return isinstance(results, list) and bool(results)


def _of_anything(body: Mapping[str, Any], usage: Usage | None) -> bool:
    """Whether *body* has the sign of any endpoint, or at least none of a failure."""
    if "choices" in body:
        return _of_choices(body, usage)
    if body.get("data") or body.get("output") or body.get("results"):
        return True
    state = body.get("status")
    is_open = isinstance(state, str) and state in _PENDING | {"failed", "cancelled", "error"}
    return bool(body) and not (body.get("error") or body.get("object") == "error" or is_open)


def _is_whole(choice: object, usage: Usage | None) -> bool:
    """Whether *choice* ended as it should: it says something, or it is known to say nothing."""
    if not isinstance(choice, dict) or choice.get("error"):
        return False
    reason = choice.get("finish_reason")
    if isinstance(reason, dict):  # SGLang's own form of it
        reason = reason.get("type")
    reason = reason.lower() if isinstance(reason, str) else ""
    if reason in _BROKEN_OFF or "error" in reason:
        return False
    message = choice.get("message")
    said = choice.get("text") if message is None else message
    if isinstance(said, dict):
        is_said = any(_says(said[name], _LEVELS) for name in said if name not in _LABELS)
    else:
        is_said = _says(said, _LEVELS)
    if is_said:
        return True
    if reason in _MAY_BE_SILENT:
        return True
    if reason and reason not in ENDED:  # an end by a name of its own, after what is billed for
        return usage is not None and usage.output_tokens > 0
    text = said.get("content") if isinstance(said, dict) else said
    # an empty text is one that the model chose, if it generated anything at all
    is_chosen = usage is None or usage.output_tokens > 0
    return reason in ENDED and isinstance(text, str) and is_chosen


def _says(value: object, levels: int) -> bool:
    """Whether there is any word in *value*, a field of a message."""
    if isinstance(value, str):
        return bool(value)
    if not isinstance(value, dict | list):
        return False
    if not levels:
        return bool(value)
    if isinstance(value, list):
        return any(_says(item, levels - 1) for item in value)
    return any(_says(item, levels - 1) for name, item in value.items() if name not in _PART_LABELS)


_SIGNS = {
    CHAT: _of_choices,
    COMPLETIONS: _of_choices,
    EMBEDDINGS: _of_data,
    MODERATIONS: _of_results,
    RESPONSES: _of_response,
}
