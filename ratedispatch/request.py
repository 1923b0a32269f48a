"""
A request and what it costs.

Values only. Knows neither how a cost is found nor how a request travels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
COMPLETIONS = "/v1/completions"
MODERATIONS = "/v1/moderations"

#: The endpoints whose requests can be counted and sent, as the Batch file format spells them.
ENDPOINTS = frozenset({CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS})

# measured: to look at an entry and count it takes as long as the tokenizer for so many characters
_ENTRY = 8
# an integer has at most one decimal digit for each 3 bits
_DIGIT_BITS = 3
_NO_MAPPINGS = frozenset({list, str, int, float, bool, NoneType})


def is_longer(value: object, characters: int) -> bool:
    """
    Whether the JSON text of *value* is likely to have more than *characters*.

    Looks at no more of it than that takes, at the length of a container before its entries, and
    so ends for any value, one that contains itself included. Strings and keys cost their length,
    integers their digits, each entry of an object or list 8 characters besides.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        # what most values are comes first: to ask for a Mapping is slow
        if type(one) is dict or (type(one) not in _NO_MAPPINGS and isinstance(one, Mapping)):
            characters -= _ENTRY * len(one)
            if characters < 0:
                return True
            for key, inner in one.items():
                if type(key) is str:
                    characters -= len(key)
                if type(inner) is str:
                    characters -= len(inner)
                else:
                    waiting.append(inner)
        elif isinstance(one, list | tuple):
            characters -= _ENTRY * len(one)
            if characters < 0:
                return True
            waiting += one
        elif isinstance(one, str):
            characters -= len(one)
        elif isinstance(one, int):
            characters -= one.bit_length() // _DIGIT_BITS
        if characters < 0:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request, as it is to be sent.

    Args:
        body: The JSON object to post, for example ``{"model": ..., "messages": [...]}``.
        endpoint: The path with its version, for example ``/v1/chat/completions``.
        custom_id: The caller's own name for it; it comes back with the outcome.
        row: The caller's own number for it (a line number, say); carried along, not interpreted.
        more: What it costs in dimensions of the caller's own, for `Limits.more`.
    """

    body: Mapping[str, Any]
    endpoint: str = CHAT
    custom_id: str | None = None
    row: int | None = None
    more: Mapping[str, float] | None = None

    @classmethod
    def chat(
        cls,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any]],
        custom_id: str | None = None,
        **parameters: Any,
    ) -> Request:
        """Return a chat completion request; *parameters* are further fields of the body."""
        body = {"model": model, "messages": list(messages), **parameters}
        return cls(body, CHAT, custom_id)

    @property
    def model(self) -> str:
        """The model named in the body; an empty string if there is none."""
        model = self.body.get("model")
        return model if isinstance(model, str) else ""

    @property
    def label(self) -> str:
        """How messages name this request: by ``custom_id``, by row, or by endpoint."""
        if self.custom_id is not None:
            return f"request {self.custom_id!r}"
        return f"request {self.row}" if self.row is not None else f"a request to {self.endpoint}"

    def is_longer_than(self, characters: int) -> bool:
        """Whether counting the body is more work than counting a text of *characters*."""
        return is_longer(self.body, characters)


@dataclass(frozen=True, slots=True)
class Part:
    """One reason for a cost: *tokens* charged for *name* (``messages``, ``tools``, …)."""

    name: str
    tokens: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What a request is expected to be charged.

    Args:
        prompt_tokens: Tokens of everything that is sent.
        output_tokens: Tokens reserved for what comes back.
        requests: Requests it counts as.
        parts: The reasons, when they were asked for; they add up to ``tokens``.
        counted_tokens: Prompt tokens as the tokenizer counts them, whatever is charged.
        expected_tokens: Prompt tokens as they are expected on the bill: as counted, corrected
            by what was learned.
        choices: Answers asked for.
        is_capped: Whether the request caps its output itself.
        more: What it costs in dimensions of the caller's own; see `Limits.more`.
    """

    prompt_tokens: int
    output_tokens: int = 0
    requests: int = 1
    parts: tuple[Part, ...] = ()
    counted_tokens: int = 0
    expected_tokens: int = 0
    choices: int = 1
    is_capped: bool = True
    more: Mapping[str, float] | None = None

    @property
    def tokens(self) -> int:
        """Prompt and output tokens together: what a tokens-per-minute limit is charged."""
        return self.prompt_tokens + self.output_tokens

    def amount(self, dimension: str) -> float:
        """Return what this costs in *dimension*, as `Rate` names it; 0 in one it has no part in."""
        if dimension == "requests":
            return self.requests
        if dimension == "tokens":
            return self.prompt_tokens + self.output_tokens
        match dimension:
            case "requests_per_day":
                return self.requests
            case "tokens_per_day":
                return self.tokens
            case "input_tokens":
                return self.prompt_tokens
            case "output_tokens":
                return self.output_tokens
        return self.more.get(dimension, 0.0) if self.more else 0.0
