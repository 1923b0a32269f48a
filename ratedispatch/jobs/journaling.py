"""
Notes each attempt in the journal before another transport sends it.

An attempt that cannot be noted is not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ratedispatch.dispatch.transports.protocol import Transport
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request


class JournalingTransport:
    """
    Sends through another transport, after noting the attempt.

    Args:
        inner: What sends.
        note: Called with the row of each request before it leaves; returns whether it may.

    Attributes:
        base_url: That of *inner*, by which a provider is known.
    """

    def __init__(self, inner: Transport, note: Callable[[int], bool]) -> None:
        self.base_url: str | None = getattr(inner, "base_url", None)
        self._inner = inner
        self._note = note

    def send(self, request: Request, timeout: float) -> Coroutine[Any, Any, Response]:
        """
        Send *request*; see :class:`~ratedispatch.dispatch.transports.protocol.Transport`.

        Raises:
            TransportError: It could not be noted, and was not sent.
        """
        if request.row is not None and not self._note(request.row):
            raise TransportError("the attempt could not be noted in the job file", reached=False)
        return self._inner.send(request, timeout)


def key_of(client: Any) -> str:
    """Return the API key of *client*; an empty one if it has none that is a text."""
    key = getattr(client, "api_key", None)  # a client may have none, or a function
    return key if isinstance(key, str) else ""
