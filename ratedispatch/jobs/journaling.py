"""
A transport that notes each attempt before it leaves.

Decides that what cannot be noted is not sent. Knows nothing of what is sent, or how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.transports.base import Transport
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request


class NotingTransport:
    """
    Sends through another transport.

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

    async def send(self, request: Request, timeout: float) -> Response:
        """
        Send *request*; see :class:`~ratedispatch.dispatch.transports.base.Transport`.

        Raises:
            TransportError: It could not be noted, and was not sent.
        """
        if request.row is not None and not self._note(request.row):
            raise TransportError("the attempt could not be noted in the job file", reached=False)
        return await self._inner.send(request, timeout)
