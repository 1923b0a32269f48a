"""
Responses, how they are interpreted, and the outcomes of requests.

Values only. The room ``providers`` decides which decision a response means.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from ratedispatch.errors import RequestFailed
from ratedispatch.request import endpoint_like
from ratedispatch.typed.parsing import parse_answer, text_of_answer
from ratedispatch.typed.sdk_types import sdk_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import UnionType

    from ratedispatch.limits import Reading
    from ratedispatch.request import Cost, Request

KindT = TypeVar("KindT")


@dataclass(frozen=True, slots=True)
class Response:
    """
    A response as it came over the wire.

    Args:
        status: HTTP status code.
        headers: Header values by lower-case name.
        body: The decoded JSON, or the text if it is not JSON.
        is_json: Whether the body was JSON.
        text: The bytes that *body* was read from, if they are plain JSON in UTF-8 and can be
            written to a file unchanged. Whoever changes *body* must drop them.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    is_json: bool = True
    text: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def request_id(self) -> str | None:
        """The provider's identifier of this exchange, to quote to its support."""
        return self.headers.get("x-request-id") or self.headers.get("request-id")


class Decision(enum.Enum):
    """What to do about an attempt."""

    ANSWERED = "answered"
    """It succeeded."""
    TRANSIENT = "transient"
    """Retry this request after a backoff; other requests are not affected."""
    RATE_LIMIT = "rate_limit"
    """The queue is too fast: it pauses, and this request keeps its place."""
    OVERLOADED = "overloaded"
    """The server asks to slow down: the queue pauses and continues at a lower speed."""
    QUEUE_FULL = "queue_full"
    """The server cannot take more requests at once: fewer are kept in flight, without a pause."""
    DAY_LIMIT = "day_limit"
    """A limit per day is used up: the route retires, or waits for the reset."""
    UNREACHABLE = "unreachable"
    """No connection could be opened: the queue is held, and this request keeps its place."""
    FAIL = "fail"
    """This request can never succeed as it is; other requests are not affected."""
    MISSING = "missing"
    """The model or path does not exist for this key: the request fails; a new job stops."""
    UNPAID = "unpaid"
    """The message is about money, but not a known one: the queue is held, and probes."""
    STOP = "stop"
    """No request on this route can succeed until a person acts: the route retires."""

    # each attempt looks decisions up in sets, and the hash of enum.Enum is written in Python
    __hash__ = object.__hash__


#: The server refused for the rate, for its load or for a limit per day, and counted no answer.
REFUSALS = frozenset(
    {Decision.RATE_LIMIT, Decision.OVERLOADED, Decision.QUEUE_FULL, Decision.DAY_LIMIT}
)


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that the provider reports as used."""

    prompt_tokens: int
    output_tokens: int
    tokens: int = field(init=False, repr=False, compare=False)
    """Prompt and output tokens together."""

    def __post_init__(self) -> None:
        # frozen: a derived field can only be set this way
        object.__setattr__(self, "tokens", self.prompt_tokens + self.output_tokens)


@dataclass(frozen=True, slots=True)
class Interpretation:
    """
    Everything that the response to one attempt says, read once.

    Args:
        decision: What to do.
        code: The provider's code or our own, for example ``rate_limit_exceeded``. It is for people
            and logs: no decision depends on it.
        message: One sentence for a person.
        delay: Minimum wait that the provider asks for, in seconds, if any.
        dimension: The limit that was exceeded, as `Reading` names it, if the provider says so.
        readings: What the response says about the provider's buckets, at most one for each.
        usage: The tokens that the answer reports, if any.
    """

    decision: Decision
    code: str = ""
    message: str = ""
    delay: float | None = None
    dimension: str | None = None
    readings: tuple[Reading, ...] = ()
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """
    A request that was answered.

    Args:
        request: The request as submitted.
        response: The provider's answer.
        cost: The cost reserved for the last attempt.
        usage: The tokens that the provider reports, if any.
        attempts: How often it was sent, refusals included.
        latency: Seconds from sending the last attempt to the end of its answer.
        route: The group of models or the member of a pool; empty if there is only one route.
    """

    request: Request
    response: Response
    cost: Cost
    usage: Usage | None = None
    attempts: int = 1
    latency: float = 0.0
    route: str = ""

    @property
    def body(self) -> Any:
        """The JSON of the answer."""
        return self.response.body

    @property
    def text(self) -> str:
        """
        The text that the model wrote: the first choice, if there are several; may be empty.

        Raises:
            UnusableAnswer: This kind of answer has no text, such as an embedding.
        """
        return text_of_answer(self.response.body, self.request.label)

    @property
    def completion(self) -> Any:
        """
        The answer as an object of the openai package.

        A ``ChatCompletion``, ``Response``, ``CreateEmbeddingResponse``, ``Completion`` or
        ``ModerationCreateResponse``, depending on the endpoint.

        Raises:
            LookupError: The package has no class for answers of that endpoint.
        """
        endpoint = self.request.endpoint
        known = endpoint_like(endpoint) or endpoint
        return sdk_object(self.response.body, known, self.response.request_id)

    @overload
    def parsed(self, kind: type[KindT]) -> KindT: ...
    @overload
    def parsed(self, kind: UnionType | dict[str, Any]) -> Any: ...
    def parsed(self, kind: Any) -> Any:
        """
        Parse the text of the answer as a *kind*.

        Args:
            kind: A pydantic model or any other type that pydantic validates, or a JSON schema,
                which the package ``jsonschema`` checks.

        Raises:
            UnusableAnswer: The model refused, was cut off, or wrote something else; ``reason``
                says which.
            ValueError: *kind* is a dict but not a valid JSON schema.
        """
        return parse_answer(self.response.body, kind, self.request.label)


@dataclass(frozen=True, slots=True)
class Failed:
    """
    A request for which no further attempt is made.

    Args:
        request: The request as submitted.
        code: A short reason for machines; the provider's code, if it sent one.
        message: One sentence for a person.
        response: The provider's last response, if any came.
        attempts: How often it was sent; 0 if never.
        error: The exception of the last attempt, if it raised one.
    """

    request: Request
    code: str
    message: str
    response: Response | None = None
    attempts: int = 0
    error: BaseException | None = field(default=None, compare=False)

    @property
    def text(self) -> NoReturn:
        """
        There is none.

        Raises:
            RequestFailed: With the reason.
        """
        self._raise()

    @property
    def completion(self) -> NoReturn:
        """
        There is none.

        Raises:
            RequestFailed: With the reason.
        """
        self._raise()

    def parsed(self, kind: object) -> NoReturn:
        """
        Raise, whatever *kind* is: there is nothing to parse.

        Raises:
            RequestFailed: With the reason.
        """
        del kind
        self._raise()

    def _raise(self) -> NoReturn:
        message = f"{self.request.label} failed: {self.message or self.code} ({self.code})"
        raise RequestFailed(message, self.code, self) from self.error


Outcome = Completed | Failed
