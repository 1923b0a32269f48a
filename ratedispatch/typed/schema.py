"""Makes the strict JSON schema by which a request asks for an answer of a type."""

from __future__ import annotations

from typing import Any

from ratedispatch.typed.sdk_types import strict_format


def chat_format_of(kind: type) -> dict[str, Any]:
    """
    Return the ``response_format`` of a chat completion whose answer is a *kind*.

    Raises:
        TypeError: It is neither a pydantic model nor a pydantic dataclass.
    """
    return strict_format(kind)


def text_format_of(kind: type) -> dict[str, Any]:
    """
    Return the ``text.format`` of a response whose answer is a *kind*.

    Raises:
        TypeError: It is neither a pydantic model nor a pydantic dataclass.
    """
    made = strict_format(kind)
    return {"type": made["type"], **made["json_schema"]}
