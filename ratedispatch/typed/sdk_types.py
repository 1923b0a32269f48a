"""
Finds parts of the openai package by name, once somebody asks for an object of it.

They are named as texts since requests and outcomes are values: counting, pacing and importing
them need no SDK.
"""

from __future__ import annotations

import importlib
from typing import Any

#: The class of the answer of each endpoint, as the Batch file format spells endpoints.
_CLASSES = {
    "/v1/chat/completions": ("openai.types.chat", "ChatCompletion"),
    "/v1/responses": ("openai.types.responses", "Response"),
    "/v1/embeddings": ("openai.types", "CreateEmbeddingResponse"),
    "/v1/completions": ("openai.types", "Completion"),
    "/v1/moderations": ("openai.types", "ModerationCreateResponse"),
}


def sdk_object(body: Any, endpoint: str, request_id: str | None) -> Any:
    """
    Return *body* as the object that the SDK makes of an answer of *endpoint*.

    Nothing is checked, as in the SDK: what a provider leaves out is None.

    Args:
        body: The JSON of the answer.
        endpoint: As the Batch file format writes it.
        request_id: The provider's name for the exchange, which the object has too.

    Raises:
        LookupError: The SDK has no class for that endpoint.
    """
    if endpoint not in _CLASSES:
        raise LookupError(f"the openai package has no class for answers of {endpoint}")
    module, name = _CLASSES[endpoint]
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise LookupError(
            f"this version of the openai package has no class for answers of {endpoint}"
        ) from error
    made = kind.construct(**body)
    made._request_id = request_id
    return made


def strict_format(kind: type) -> dict[str, Any]:
    """
    Return the ``response_format`` that the SDK makes of *kind*.

    Raises:
        TypeError: It is neither a pydantic model nor a pydantic dataclass.
    """
    # its own converter, so that a request is the one that `client.chat.completions.parse` sends
    parsing = importlib.import_module("openai.lib._parsing._completions")
    made: dict[str, Any] = parsing.type_to_response_format_param(kind)
    return made
