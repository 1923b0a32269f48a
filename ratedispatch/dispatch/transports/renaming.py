"""
A transport to a place that calls models by other names.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.dispatch.transports.protocol import Transport
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request


class RenamingTransport:
    """
    Sends through another transport, with the model called as it is called there.

    Args:
        transport: What sends.
        models: Names there by names in requests.
    """

    def __init__(self, transport: Transport, models: Mapping[str, str]) -> None:
        self._transport = transport
        self._models = models

    @property
    def kind(self) -> str:
        """What messages call what sends."""
        return type(self._transport).__name__

    async def send(self, request: Request, timeout: float) -> Response:
        """Send *request*; see :class:`~ratedispatch.dispatch.transports.protocol.Transport`."""
        return await self._transport.send(self._renamed(request), timeout)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._transport, name)
        if name != "stream":  # base_url, api_key and the like
            return value

        async def stream(request: Request, timeout: float) -> Any:
            return await value(self._renamed(request), timeout)

        return stream

    def _renamed(self, request: Request) -> Request:
        name = self._models.get(request.model)
        if name is None:
            return request
        return dataclasses.replace(request, body={**request.body, "model": name})
