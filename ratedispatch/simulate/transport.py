"""
A transport to a fake provider in the same process.

The provider is the one behind the fake server; the network is the loop's clock. In a virtual
loop a night's job takes seconds and the same seed gives the same trace.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from ratedispatch.errors import TransportError
from ratedispatch.outcome import Response
from ratedispatch.simulate.provider.provider import Provider
from ratedispatch.simulate.referee import Referee

if TYPE_CHECKING:
    import random

    from ratedispatch.request import Request
    from ratedispatch.simulate.settings import ProviderSettings


class ProviderTransport:
    """
    Sends to a provider made of *settings*.

    Must be made while the loop runs.

    Args:
        settings: How the provider behaves.
        rng: Draws its latencies and faults.
        travel: Seconds from here to the provider; the answer's way is part of its latency.

    Attributes:
        provider: The provider, for example to change its limits.
        referee: What it has seen.
    """

    def __init__(
        self, settings: ProviderSettings, rng: random.Random, *, travel: float = 0.0
    ) -> None:
        now = asyncio.get_running_loop().time()
        self.provider = Provider(settings, rng=rng, now=now)
        self.referee = Referee.of(self.provider, now)
        self._travel = travel

    async def send(self, request: Request, timeout: float) -> Response:
        """Send *request*; see :class:`~ratedispatch.dispatch.transports.protocol.Transport`."""
        del timeout  # the dispatcher holds the clock
        loop = asyncio.get_running_loop()
        if self._travel:
            await asyncio.sleep(self._travel)
        arrived = loop.time()
        headers = {"x-client-request-id": request.custom_id} if request.custom_id else {}
        reply = self.provider.arrive(request.endpoint, headers, request.body, arrived)
        self.referee.arrive(reply, arrived)
        is_sent = reply.fault == "reset"
        try:
            match reply.fault:
                case "hang":
                    await asyncio.Event().wait()
                case "reset":
                    raise TransportError("connection reset")
                case "disconnect":
                    await asyncio.sleep(reply.delay / 2)
                    is_sent = True
                    raise TransportError("server disconnected")
            await asyncio.sleep(reply.delay)
            is_sent = True
        finally:
            now = loop.time()
            returned = self.provider.finish(reply, now) if is_sent else 0
            self.referee.finish(reply, now, arrived=arrived, returned=returned, sent=is_sent)
        if reply.fault == "truncate":
            raise TransportError("the answer ended early")
        try:
            return Response(reply.status, reply.headers, json.loads(reply.body))
        except ValueError:
            text = reply.body.decode()
            return Response(reply.status, reply.headers, text, is_json=False)
