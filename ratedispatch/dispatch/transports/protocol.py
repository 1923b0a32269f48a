"""The protocol of a transport: sends one request once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
