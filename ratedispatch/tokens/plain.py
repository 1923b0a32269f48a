"""
What requests without messages weigh: embeddings and the older completions.

Decides the four shapes of their input: a text, texts, token ids, lists of token ids. There is no
overhead; token ids count their number. Source: OpenAI's OpenAPI description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.errors import InvalidRequest
from ratedispatch.tokens import fields
from ratedispatch.tokens.token_count import MESSAGES, TokenCount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.tokens.token_count import Scale

_SHAPES = "a string, a list of strings, or token ids"
#: OpenAPI description: the default of ``max_tokens`` for completions.
COMPLETION_TOKENS = 16
_STEP = 65_536  # ids looked at in one call: 1 ms


def weigh_embeddings(body: Mapping[str, Any], scale: Scale) -> TokenCount:
    """
    Return the weight of an embeddings request; it has no output.

    Raises:
        InvalidRequest: ``input`` has none of the four shapes.
    """
    total = TokenCount(choices=0, cap=0)
    _weigh_input(body.get("input"), "input", scale, total)
    return total


def weigh_completions(body: Mapping[str, Any], scale: Scale) -> TokenCount:
    """
    Return the weight of a completions request: every prompt gives max(n, best_of) outputs.

    Raises:
        InvalidRequest: ``prompt`` has none of the four shapes, or a number is none.
    """
    total = TokenCount()
    total.messages = _weigh_input(body.get("prompt"), "prompt", scale, total)
    suffix = fields.optional_text(body.get("suffix"), "suffix")
    if suffix:
        total.add(MESSAGES, scale.count(suffix))
        total.characters += len(suffix)
    read_output(body, total)
    return total


def no_output(_body: Mapping[str, Any], total: TokenCount) -> None:
    """Take in that there is no output."""
    total.choices = total.cap = 0


def read_output(body: Mapping[str, Any], total: TokenCount) -> None:
    """Take in how many outputs *body* asks for, with the prompts in *total*, and their cap."""
    unread = total.unread
    choices = fields.integer(body, "n", least=1, unread=unread) or 1
    best_of = fields.integer(body, "best_of", least=1, unread=unread) or 1
    total.choices = max(choices, best_of) * max(1, total.messages)
    if body.get("max_tokens") is None:
        total.cap, total.caps = COMPLETION_TOKENS, "default"
    else:
        total.cap = fields.integer(body, "max_tokens", least=0, unread=unread)
        total.caps = "max_tokens"


def _weigh_input(given: object, key: str, scale: Scale, total: TokenCount) -> int:
    """Add the tokens of *given*; return how many inputs it has."""
    if given is None:
        raise InvalidRequest(f"{key}: expected {_SHAPES}, got nothing")
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list | tuple):
        fields.refuse(key, _SHAPES, given)
    if given and _is_id(given[0]):
        total.add(MESSAGES, _count_ids(given, key))
        return 1
    tokens = 0
    for index, one in enumerate(given):
        if isinstance(one, str):
            tokens += scale.count(one)
            total.characters += len(one)
        elif isinstance(one, list | tuple):
            tokens += _count_ids(one, f"{key}[{index}]")
        else:
            fields.refuse(f"{key}[{index}]", "a string or a list of token ids", one)
    total.add(MESSAGES, tokens)
    return len(given)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count_ids(ids: list[Any] | tuple[Any, ...], path: str) -> int:
    for start in range(0, len(ids), _STEP):
        if set(map(type, ids[start : start + _STEP])) - {int}:
            break
    else:
        return len(ids)
    for index, one in enumerate(ids):
        if not _is_id(one):
            fields.refuse(f"{path}[{index}]", "a token id", one)
    return len(ids)
