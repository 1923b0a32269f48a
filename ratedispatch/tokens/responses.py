"""
What a Responses request weighs.

Decides the weight of its items; a stored conversation that the server puts before them cannot be
seen from here. The rule of chat messages holds (OpenAI API reference and cookbook), with a
priming of the reply that the family of the model may have for this endpoint alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import InvalidRequest
from ratedispatch.tokens import fields
from ratedispatch.tokens.parts import weigh_content, weigh_document, weigh_text
from ratedispatch.tokens.token_count import MESSAGES, PRIMING, TokenCount
from ratedispatch.tokens.tools import weigh_choice, weigh_format, weigh_tools

if TYPE_CHECKING:
    from ratedispatch.tokens.token_count import Scale

# as for a call in a chat message: hmarr/openai-chat-tokens
_CALL_FRAME = 3
# input that the server has and we do not; with one of these `input` may be missing
_ELSEWHERE = ("prompt", "previous_response_id", "conversation")
# encrypted reasoning: at least four base64 characters for each token that it hides
_ENCRYPTED_CHARACTERS = 4


def weigh(body: Mapping[str, Any], scale: Scale) -> TokenCount:
    """
    Return the weight of a Responses request.

    Raises:
        InvalidRequest: A field has the wrong type; the message says which.
    """
    total = TokenCount()
    rule = scale.family.messages
    instructions = body.get("instructions")
    if instructions is not None:
        _weigh_message("system", instructions, "instructions", scale, total)
    given = body.get("input")
    if isinstance(given, str):
        _weigh_message("user", given, "input", scale, total)
    elif given is not None:
        if not isinstance(given, list | tuple):
            fields.refuse("input", "a string or a list of items", given)
        for index, item in enumerate(given):
            path = f"input[{index}]"
            _weigh_item(fields.mapping(item, path), path, scale, total)
    elif not any(body.get(key) for key in _ELSEWHERE):
        raise InvalidRequest("input: expected a string or a list of items, got nothing")
    if body.get("prompt") is not None:
        weigh_document(body["prompt"], "prompt", scale, total)
    total.add(PRIMING, rule.priming_responses)
    weigh_tools(body.get("tools"), "tools", scale, total, flat=True)
    weigh_choice(body.get("tool_choice"), "tool_choice", scale, total)
    text = body.get("text")
    if text is not None:
        weigh_format(fields.mapping(text, "text").get("format"), "text.format", scale, total)
    read_output(body, total)
    return total


def read_output(body: Mapping[str, Any], total: TokenCount) -> None:
    """Take in the cap of the answer."""
    key = "max_output_tokens"
    total.cap, total.caps = fields.integer(body, key, least=0, unread=total.unread), key


def _weigh_message(role: str, content: object, path: str, scale: Scale, total: TokenCount) -> None:
    total.messages += 1
    total.add(MESSAGES, scale.family.messages.per_message + scale.count(role))
    weigh_content(content, path, scale, total, role=role)


def _weigh_item(item: Mapping[str, Any], path: str, scale: Scale, total: TokenCount) -> None:
    kind = fields.optional_text(item.get("type"), f"{path}.type") or "message"
    if kind == "message":
        role = fields.text(item.get("role"), f"{path}.role")
        _weigh_message(role, item.get("content"), f"{path}.content", scale, total)
    elif kind.endswith("_call_output"):
        output = item.get("output")
        if isinstance(output, Mapping):
            output = [output]
        _weigh_message("tool", output, f"{path}.output", scale, total)
    elif kind in ("function_call", "custom_tool_call"):
        _weigh_message("assistant", None, path, scale, total)
        total.add(MESSAGES, _CALL_FRAME)
        for key in ("name", "arguments", "input"):
            weigh_text(fields.optional_text(item.get(key), f"{path}.{key}"), scale, total)
    elif kind == "reasoning":
        _weigh_message("assistant", item.get("summary"), f"{path}.summary", scale, total)
        hidden = fields.optional_text(item.get("encrypted_content"), f"{path}.encrypted_content")
        total.add(MESSAGES, -(-len(hidden) // _ENCRYPTED_CHARACTERS))
    else:
        _weigh_message("assistant", None, path, scale, total)
        weigh_document(item, path, scale, total, role="assistant")
