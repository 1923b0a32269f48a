"""
What a chat completion request weighs.

Decides the weight of messages; content parts, tools and schemas are weighed by their own modules.
Source: OpenAI cookbook, How_to_count_tokens_with_tiktoken.ipynb, `num_tokens_from_messages`: per
message a frame, the tokens of role, content and name, and once the priming of the reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.errors import InvalidRequest
from ratedispatch.tokens import fields
from ratedispatch.tokens.parts import weigh_content, weigh_document, weigh_spoken, weigh_text
from ratedispatch.tokens.token_count import MESSAGES, NAMES, PRIMING, TokenCount
from ratedispatch.tokens.tools import weigh_choice, weigh_format, weigh_functions, weigh_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.tokens.token_count import Scale

# hmarr/openai-chat-tokens: a call in a message costs a frame, a result of a function saves some
_CALL_FRAME = 3
_RESULT = -2

_CAPS = ("max_tokens", "max_completion_tokens")
#: The fields besides the messages that weigh something.
_SETTINGS = frozenset(
    {"functions", "function_call", "tools", "tool_choice", "response_format", "prediction"}
)
# an API has a handful of roles; what else a message says there is counted each time
_MOST_ROLES = 16
_LONGEST_ROLE = 32


def weigh(body: Mapping[str, Any], scale: Scale) -> TokenCount:
    """
    Return the weight of a chat request.

    Raises:
        InvalidRequest: A field has the wrong type; the message says which.
    """
    total = TokenCount()
    rule = scale.family.messages
    messages = body.get("messages")
    if messages is None:
        raise InvalidRequest("messages: expected a list, got nothing")
    if type(messages) is not list:
        messages = fields.items(messages, "messages")
    count, roles = scale.count, scale.roles
    tokens = characters = 0
    for index, message in enumerate(messages):
        # most messages are of this shape; the general way below gives the same
        if type(message) is dict and len(message) == 2:
            role, content = message.get("role"), message.get("content")
            if type(role) is str and type(content) is str and role != "function":
                known = roles.get(role)
                if known is None:
                    known = count(role)
                    if len(roles) < _MOST_ROLES and len(role) < _LONGEST_ROLE:
                        roles[role] = known
                tokens += rule.per_message + known + count(content)
                characters += len(content)
                continue
        tokens += rule.per_message
        path = f"messages[{index}]"
        _weigh_message(fields.mapping(message, path), path, scale, total)
    # without a call: this is where the time of a short request goes
    parts = total.parts
    parts[MESSAGES] = parts.get(MESSAGES, 0) + tokens
    parts[PRIMING] = rule.priming
    total.characters += characters
    total.messages = len(messages)
    if len(body) > 1 + ("model" in body):
        if not _SETTINGS.isdisjoint(body):
            _weigh_settings(body, messages, scale, total)
        read_output(body, total)
    return total


def read_output(body: Mapping[str, Any], total: TokenCount) -> None:
    """Take in how many answers *body* asks for, and their cap."""
    if body.get("n") is not None:
        total.choices = fields.integer(body, "n", least=1, unread=total.unread) or 1
    for key in _CAPS:
        cap = body.get(key)
        if cap is None:
            continue
        if type(cap) is not int or not 0 <= cap <= fields.LARGEST:
            cap = fields.integer(body, key, least=0, unread=total.unread)
            if cap is None:
                continue
        if total.cap is None or cap > total.cap:
            total.cap, total.caps = cap, key


def _weigh_settings(
    body: Mapping[str, Any], messages: Any, scale: Scale, total: TokenCount
) -> None:
    system = next((m for m in messages if m.get("role") == "system"), None)
    if weigh_functions(body.get("functions"), scale, total, has_system=system is not None):
        content = system.get("content") if system is not None else None
        if isinstance(content, str):
            # the definitions follow the first system message, from which a line break parts them
            total.add(MESSAGES, scale.count(f"{content}\n") - scale.count(content))
    weigh_choice(body.get("function_call"), "function_call", scale, total)
    weigh_tools(body.get("tools"), "tools", scale, total)
    weigh_choice(body.get("tool_choice"), "tool_choice", scale, total)
    weigh_format(body.get("response_format"), "response_format", scale, total)
    prediction = body.get("prediction")
    if prediction is not None:  # what of it is not used is billed as output: no more than itself
        prediction = fields.mapping(prediction, "prediction")
        weigh_content(prediction.get("content"), "prediction.content", scale, total)


def _weigh_message(message: Mapping[str, Any], path: str, scale: Scale, total: TokenCount) -> None:
    role = fields.text(message.get("role"), f"{path}.role")
    total.add(MESSAGES, scale.count(role) + (_RESULT if role == "function" else 0))
    weigh_content(message.get("content"), f"{path}.content", scale, total, role=role)
    name = message.get("name")
    if name is not None:
        name = fields.text(name, f"{path}.name")
        total.add(NAMES, scale.family.messages.per_name + scale.count(name))
    refusal = message.get("refusal")
    if refusal is not None:
        weigh_text(fields.text(refusal, f"{path}.refusal"), scale, total)
    if message.get("audio") is not None:
        weigh_spoken(message["audio"], f"{path}.audio", scale, total)
    if message.get("function_call") is not None:
        _weigh_call(message["function_call"], f"{path}.function_call", scale, total)
    calls = message.get("tool_calls")
    if calls is not None:
        for index, call in enumerate(fields.items(calls, f"{path}.tool_calls")):
            where = f"{path}.tool_calls[{index}]"
            inner = fields.mapping(call, where)
            kind = inner.get("type", "function")
            key = kind if isinstance(kind, str) and kind in inner else "function"
            _weigh_call(inner.get(key), f"{where}.{key}", scale, total)


def _weigh_call(call: object, path: str, scale: Scale, total: TokenCount) -> None:
    call = fields.mapping(call, path)
    name = fields.optional_text(call.get("name"), f"{path}.name")
    total.add(MESSAGES, _CALL_FRAME)
    weigh_text(name, scale, total)
    arguments = call.get("arguments", call.get("input"))
    if isinstance(arguments, str):
        weigh_text(arguments, scale, total)
    elif arguments is not None:
        weigh_document(arguments, f"{path}.arguments", scale, total)
