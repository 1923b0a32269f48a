"""The protocols of a transport: sends one request once, and gets its answer whole or in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.outcome import Response
    from ratedispatch.request import Request


class Transport(Protocol):
    """A way to send one request once. It neither retries nor limits."""

    async def send(self, request: Request, timeout: float) -> Response:
        """
        Send *request* and return the answer, whatever its status.

        Args:
            request: What to send.
            timeout: Seconds for the whole exchange.

        Raises:
            TransportError: No whole answer came back.
            AttemptTimeout: It took longer than *timeout*.
        """


class StreamedResponse(Protocol):
    """
    The head of an answer, and its events as they come.

    An iterator over the decoded JSON of each event, without the ``[DONE]`` after the last. Chat
    sends chunks; responses send events with a ``type``. An error that the provider writes into
    the stream is an event like the others. Iterating raises `TransportError` when the connection
    ends before the answer does.
    """

    status: int
    """HTTP status; one of success, since anything else comes whole."""

    headers: Mapping[str, str]
    """Header values by lower-case name."""

    def __aiter__(self) -> Self:
        """Return itself."""

    async def __anext__(self) -> dict[str, Any]:
        """Return the next event."""

    async def aclose(self) -> None:
        """Drop what has not come yet, and the connection with it; more than once does no harm."""


class StreamingTransport(Transport, Protocol):
    """A transport that also gets answers in parts."""

    async def stream(self, request: Request, timeout: float) -> StreamedResponse | Response:
        """
        Send *request* with ``"stream": true`` in its body and return the head of the answer.

        Args:
            request: What to send; its own ``stream_options`` are kept, and none are added.
            timeout: Seconds in which nothing comes: before the head, and between two events.

        Returns:
            The answer in parts, or the whole of one that is not sent so, such as a refusal.

        Raises:
            TransportError: No head came back.
            AttemptTimeout: Nothing came for *timeout*.
        """
