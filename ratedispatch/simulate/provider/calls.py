"""
What an arriving request asks for and what it is charged.

Decides whether a path and a body make sense, and turns them into a `Call`. Knows nothing of
limits, clocks or connections.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ratedispatch.request import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    ENDPOINTS,
    MODERATIONS,
    RESPONSES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Counter = Callable[[Mapping[str, Any], str], int]

#: Tokens reserved when the request names no cap; observed at OpenAI until early 2025, and the
#: documented default of the legacy completions.
DEFAULT_OUTPUT = 16

_CAPS = {
    CHAT: ("max_completion_tokens", "max_tokens"),
    RESPONSES: ("max_output_tokens",),
    COMPLETIONS: ("max_tokens",),
    EMBEDDINGS: (),
    MODERATIONS: (),
}
_REQUIRED = {
    CHAT: "messages",
    RESPONSES: "input",
    COMPLETIONS: "prompt",
    EMBEDDINGS: "input",
    MODERATIONS: "input",
}
#: Endpoints that generate nothing.
_SILENT = frozenset({EMBEDDINGS, MODERATIONS})

#: The model where a body may do without: OpenAI's reference of the endpoint names it.
_DEFAULT_MODELS = {MODERATIONS: "omni-moderation-latest"}

#: The one text of all bodies that say the same; kept, since making an encoder costs as much
#: as encoding a short body.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

#: Characters of an ``X-Client-Request-Id``: above, OpenAI answers 400.
_LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class Call:
    """
    A request that makes sense.

    Args:
        endpoint: One of the four, with its version.
        model: As named in the body.
        body: The JSON object.
        prompt_tokens: What is sent, in tokens as the provider counts them.
        output_cap: Tokens reserved for each output; 0 for embeddings.
        is_capped: Whether the request names that cap, which cuts its outputs then.
        outputs: How many outputs were asked for (``n``).
        inputs: How many texts an embeddings request holds.
        row: 64 bits that identify the request: of its ``X-Client-Request-Id``, else of its body.
        is_stream: Whether the answer is to come in parts.
        echo: What the answer's text repeats: that header, else 16 hex digits of the body's hash.
    """

    endpoint: str
    model: str
    body: Mapping[str, Any]
    prompt_tokens: int
    output_cap: int
    outputs: int
    inputs: int
    row: int
    echo: str
    is_stream: bool = False
    is_capped: bool = True

    @property
    def tokens(self) -> int:
        """What admission is charged: the prompt, and the cap of every output."""
        return self.prompt_tokens + self.output_cap * self.outputs


class Problem(Exception):
    """A request that makes no sense; carries the answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param


def count_characters(body: Mapping[str, Any], endpoint: str) -> int:
    """
    Return ``ceil(characters / 4)`` of all text sent, plus 2 for each message.

    Source: the charges seen in OpenAI's headers; "based on the character count" in its guide.
    """
    if endpoint == CHAT:
        messages = [message for message in body["messages"] if isinstance(message, dict)]
        characters = sum(_characters(message.get("content")) for message in messages)
        return math.ceil(characters / 4) + 2 * len(messages)
    if endpoint == RESPONSES:
        given = body["input"]
        items = [item for item in given if isinstance(item, dict)] if _is_list(given) else []
        characters = _characters(body.get("instructions"))
        characters += sum(_characters(item.get("content")) for item in items)
        characters += len(given) if isinstance(given, str) else 0
        return math.ceil(characters / 4) + 2 * max(1, len(items))
    if endpoint == MODERATIONS:
        return 0
    return math.ceil(_characters(body[_REQUIRED[endpoint]]) / 4)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _characters(content: object) -> int:
    """Count the characters of a string, or of all text in a list; a token id counts as four."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, int):
        return 4
    if isinstance(content, list):
        return sum(_characters(part) for part in content)
    if isinstance(content, dict):
        return _characters(content.get("text"))
    return 0


def parse_body(raw: bytes) -> dict[str, Any]:
    """
    Return the JSON object in *raw*.

    Raises:
        Problem: It is not JSON, or not an object.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):  # the latter for brackets a thousand deep
        raise Problem(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise Problem(400, "The JSON body of your request must be an object.")
    return body


def read_call(
    endpoint: str, body: Mapping[str, Any], client_id: str | None, count: Counter
) -> Call:
    """
    Return what *body* asks of *endpoint*.

    Raises:
        Problem: 400 for a field that is missing or wrong, 404 for an unknown path or model.
    """
    if endpoint not in ENDPOINTS:
        raise Problem(404, f"Unknown request URL: POST {endpoint}.", code="unknown_url")
    model = _model(endpoint, body)
    given = _given(endpoint, body)
    if client_id is not None and (len(client_id) > _LONGEST_ID or not client_id.isascii()):
        raise Problem(
            400, f"X-Client-Request-Id must be ASCII of at most {_LONGEST_ID} characters."
        )
    named = _named_cap(endpoint, body)
    unnamed = 0 if endpoint in _SILENT else DEFAULT_OUTPUT
    outputs = _outputs(endpoint, body)
    try:
        prompt_tokens = count(body, endpoint)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    if client_id is None:
        digest = sha256(_canonical(body).encode())
        echo = digest.hexdigest()[:16]
    else:
        digest = sha256(client_id.encode())
        echo = client_id
    return Call(
        endpoint=endpoint,
        model=model,
        body=body,
        prompt_tokens=prompt_tokens,
        output_cap=unnamed if named is None else named,
        outputs=outputs,
        inputs=_inputs(given) if endpoint in _SILENT else 1,
        row=int.from_bytes(digest.digest()[:8]),
        echo=echo,
        is_stream=_is_stream(endpoint, body),
        # of legacy completions the default is a cap and not only what is reserved
        is_capped=named is not None or endpoint == COMPLETIONS,
    )


def _model(endpoint: str, body: Mapping[str, Any]) -> str:
    model = body.get("model", _DEFAULT_MODELS.get(endpoint))
    if not isinstance(model, str) or not model:
        raise Problem(400, "you must provide a model parameter", param="model")
    if model.startswith("no-such-model"):
        raise Problem(
            404,
            f"The model `{model}` does not exist or you do not have access to it.",
            code="model_not_found",
        )
    return model


def _given(endpoint: str, body: Mapping[str, Any]) -> Any:
    """Return what the field holds that *endpoint* cannot do without."""
    name = _REQUIRED[endpoint]
    given = body.get(name)
    if given is None or given == [] or (endpoint == CHAT and not isinstance(given, list)):
        raise Problem(
            400,
            f"Missing required parameter: '{name}'.",
            code="missing_required_parameter",
            param=name,
        )
    return given


def _named_cap(endpoint: str, body: Mapping[str, Any]) -> int | None:
    """Return the most tokens of each output that *body* allows; None if it does not say."""
    for field in _CAPS[endpoint]:
        if body.get(field) is not None:
            return _whole(body, field)
    return None


def _outputs(endpoint: str, body: Mapping[str, Any]) -> int:
    """Return how many outputs are requested."""
    if endpoint not in {CHAT, COMPLETIONS}:
        return 1
    return max(_whole(body, "n", 1), _whole(body, "best_of", 1))


def _is_stream(endpoint: str, body: Mapping[str, Any]) -> bool:
    """Return whether the answer is to come in parts; what generates nothing comes whole."""
    wanted = body.get("stream")
    if wanted is True:
        return endpoint not in _SILENT
    if wanted is not None and wanted is not False:
        raise Problem(400, "Invalid 'stream': expected true or false.", param="stream")
    if body.get("stream_options") is not None:
        raise Problem(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    return False


def _whole(body: Mapping[str, Any], field: str, default: int = 0) -> int:
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Problem(400, f"Invalid '{field}': expected an integer of at least 1.", param=field)
    return value


def _inputs(given: object) -> int:
    """How many texts: a list of token ids is one text, as is a string."""
    if isinstance(given, list) and not isinstance(given[0], int):
        return len(given)
    return 1
