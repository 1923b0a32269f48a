"""
A request and what it costs.

Values only: `ratedispatch.tokens` finds the cost of a request, a transport sends it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsFloat

from ratedispatch.dimension import dimension_named
from ratedispatch.typed.schema import chat_format_of, text_format_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
COMPLETIONS = "/v1/completions"
MODERATIONS = "/v1/moderations"

#: The endpoints whose requests can be counted and sent, as the Batch file format writes them.
ENDPOINTS = frozenset({CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS})


def endpoint_like(url: str) -> str | None:
    """
    Return the endpoint at the end of *url*, as the Batch file format writes it; None if none.

    Other providers omit the version, use another one, or give the full URL.
    """
    path = "/" + url.split("?", 1)[0].strip("/")
    # chat before completions: one ends like the other
    for known in (CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS):
        if path.endswith(known.removeprefix("/v1")):
            return known
    return None


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request to send.

    Args:
        body: The JSON object to post, for example ``{"model": ..., "messages": [...]}``.
        endpoint: The path with its version, for example ``/v1/chat/completions``.
        custom_id: The caller's name for it; it comes back with the outcome.
        row: The caller's number for it, such as a line number; passed along, not interpreted.
        custom: Its cost in the caller's own dimensions, for `Limits.custom`.
        was_read: Whether *body* was read from JSON and contains nothing else; such a body is
            encoded several times faster.
        timeout: Seconds that one attempt may take, instead of the dispatcher's timeout.
        headers: Sent with it; they replace headers of the same names that the client sends. They
            are never shown, because one may be a key.

    Raises:
        ValueError: *timeout* is not above 0, a cost is below 0, or a header cannot be sent.
        TypeError: *body* is not a mapping, *timeout* or a cost is not a number, or a header is not
            a string.
    """

    body: Mapping[str, Any]
    endpoint: str = CHAT
    custom_id: str | None = None
    row: int | None = None
    custom: Mapping[str, float] | None = None
    was_read: bool = field(default=False, repr=False, compare=False)
    timeout: float | None = field(default=None, kw_only=True)
    headers: Mapping[str, str] | None = field(default=None, repr=False, kw_only=True)
    model: str = field(init=False, repr=False, compare=False)
    """The model named in the body; an empty string if there is none."""

    def __post_init__(self) -> None:
        try:
            model = self.body.get("model")
        except AttributeError:
            raise TypeError(f"body must be a mapping, got {type(self.body).__name__}") from None
        # frozen: a derived field can only be set this way
        object.__setattr__(self, "model", model if isinstance(model, str) else "")
        if self.timeout is not None:
            _check_timeout(self.timeout)
        if self.headers is not None:
            _check_headers(self.headers)
        if self.custom is not None:
            _check_custom(self.custom)

    @classmethod
    def chat(
        cls,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | _SdkObject],
        custom_id: str | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> Request:
        """
        Return a chat completion request; *parameters* are other fields of the body.

        *timeout* and *headers* are those of `Request`. Messages may be or contain objects of the
        SDK, such as an earlier answer that the conversation continues from. A ``response_format``
        may be a type, as in the SDK's ``parse``: a pydantic model or a pydantic dataclass. It
        becomes a strict JSON schema, and ``outcome.parsed(type)`` returns the answer as that type.
        """
        if isinstance(parameters.get("response_format"), type):
            parameters["response_format"] = chat_format_of(parameters["response_format"])
        plain = [_plain(message) for message in messages]
        body = {"model": model, "messages": plain, **parameters}
        return cls(body, CHAT, custom_id, timeout=timeout, headers=headers)

    @classmethod
    def responses(
        cls,
        *,
        model: str,
        input: str | Iterable[Mapping[str, Any] | _SdkObject],  # noqa: A002  (as the API calls it)
        text_format: type | None = None,
        custom_id: str | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> Request:
        """
        Return a request to the Responses API; *parameters* are other fields of the body.

        *timeout* and *headers* are those of `Request`. The items of *input* may be or contain
        objects of the SDK, such as the output of an earlier answer. *text_format* is a type, like
        the ``response_format`` of `chat`.
        """
        body: dict[str, Any] = {
            "model": model,
            "input": input if isinstance(input, str) else [_plain(item) for item in input],
        }
        body |= parameters
        if text_format is not None:
            body["text"] = {**body.get("text", {}), "format": text_format_of(text_format)}
        return cls(body, RESPONSES, custom_id, timeout=timeout, headers=headers)

    @property
    def label(self) -> str:
        """The name of this request in messages: by ``custom_id``, by row, or by endpoint."""
        if self.custom_id is not None:
            return f"request {self.custom_id!r}"
        return f"request {self.row}" if self.row is not None else f"a request to {self.endpoint}"


class _SdkObject(Protocol):
    """An object of the openai package that can be converted to JSON."""

    def to_dict(self, *, mode: Literal["json", "python"] = ...) -> dict[str, Any]:
        """Return that JSON."""


#: What is JSON as it stands, and holds nothing.
_LEAVES = (str, int, float, type(None))


def _plain(value: Any) -> Any:
    """Return *value* with the JSON in place of each object of the SDK; as the SDK does."""
    if isinstance(value, dict):
        return {
            name: part if isinstance(part, _LEAVES) else _plain(part)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [part if isinstance(part, _LEAVES) else _plain(part) for part in value]
    dump = getattr(value, "to_dict", None)
    return value if dump is None else dump(mode="json")


#: What a header may be called (RFC 9110, 5.1), and what can stand in it whoever sends it.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")

#: Headers that describe the body and the connection: whoever sends these knows them.
_OF_THE_WIRE = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def _check_timeout(seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"timeout must be a number of seconds, not a {type(seconds).__name__}")
    if not 0 < seconds < math.inf:
        raise ValueError(f"timeout must be above 0 seconds and finite, not {seconds}")


def _check_custom(costs: Mapping[str, float]) -> None:
    for name, cost in costs.items():
        if isinstance(cost, bool) or not isinstance(cost, SupportsFloat):
            raise TypeError(f"custom[{name!r}] must be a number, not a {type(cost).__name__}")
        if not 0 <= cost < math.inf:
            raise ValueError(f"custom[{name!r}] must be a finite number of at least 0, not {cost}")


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raise if one cannot be sent; no message shows its value, which may be a key."""
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers must be strings by name; {name!r:.80} is not")
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r:.80} is not a valid name of a header")
        if name.lower() in _OF_THE_WIRE:
            raise ValueError(f"the header {name} is set from the body and the connection; omit it")
        if not _VALUE.fullmatch(value) or value != value.strip():
            raise ValueError(
                f"the header {name} contains a character that a header cannot have; only printable "
                f"ASCII without surrounding spaces is allowed"
            )


#: Dimensions, per minute or per day, in which a cost can be lowered.
_TOKENS = frozenset({"tokens", "input_tokens", "output_tokens"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a cost: *tokens* charged for *name* (``messages``, ``tools``, …)."""

    name: str
    tokens: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What a request is expected to be charged.

    Args:
        prompt_tokens: Tokens of everything that is sent.
        output_tokens: Tokens reserved for the output.
        requests: How many requests it counts as.
        parts: What the tokens are charged for, if requested; the parts add up to ``tokens``.
        counted_tokens: Prompt tokens by the tokenizer, whatever the limit is charged.
        expected_tokens: Prompt tokens expected on the bill: the tokenizer's count, corrected by
            what was learned from answers.
        choices: How many answers are requested.
        is_capped: Whether the request has its own output cap.
        character_tokens: Prompt tokens as estimated by a provider that counts characters.
        expected_output_tokens: Maximum output tokens expected on the bill: the output cap, or what
            was learned, whatever the limit is charged for the output.
        custom: The cost in the caller's own dimensions; see `Limits.custom`.
        assumed_tokens: Prompt tokens that are assumed rather than counted: images, audio,
            documents.

    Attributes:
        tokens: Prompt plus output tokens, which a limit on tokens per minute is charged.
    """

    prompt_tokens: int
    output_tokens: int = 0
    requests: int = 1
    parts: tuple[Part, ...] = ()
    counted_tokens: int = 0
    expected_tokens: int = 0
    choices: int = 1
    is_capped: bool = True
    expected_output_tokens: int = 0
    character_tokens: int = 0
    custom: Mapping[str, float] | None = None
    assumed_tokens: int = 0
    # kept, not computed: it is asked for several times with each request
    tokens: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", self.prompt_tokens + self.output_tokens)

    def amount(self, dimension: str) -> float:
        """Return the cost in *dimension*, as `Rate` names it; 0 in other dimensions."""
        return dimension_named(dimension).of_cost(self)

    def lowered(self, dimension: str, most: float) -> Cost | None:
        """
        Return this cost, lowered to *most* in *dimension* where it rests on assumptions.

        An assumption does not prove that a request can never be sent: the reserve for an output
        without a cap is lowered first, then the assumed tokens of the prompt. None if the rest
        still exceeds *most*.
        """
        name = dimension.removesuffix("_per_day")
        surplus = math.ceil(self.amount(dimension) - math.floor(most))
        output = 0 if self.is_capped or name == "input_tokens" else self.output_tokens
        prompt = 0 if name == "output_tokens" else min(self.assumed_tokens, self.prompt_tokens)
        if name not in _TOKENS or not 0 < surplus <= output + prompt:
            return None
        output = min(output, surplus)
        prompt = surplus - output
        return replace(
            self,
            output_tokens=self.output_tokens - output,
            prompt_tokens=self.prompt_tokens - prompt,
            assumed_tokens=self.assumed_tokens - prompt,
        )


def checked_request(value: object) -> Request:
    """
    Return *value*, which is a request.

    Raises:
        TypeError: It is not a request.
    """
    if isinstance(value, Request):
        return value
    raise TypeError(
        f"expected a Request, got {type(value).__name__}; Request.chat(model=…, messages=…) makes "
        f"one, and Request(body) from a body"
    )
