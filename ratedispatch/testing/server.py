"""
The fake provider on a real socket.

Reads and writes HTTP, acts out faults of the connection, waits the latency, and answers
``/_stats``, ``/_limits`` and ``/_reset``. Decides nothing: `provider` says what a request gets,
`judge` what it meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ratedispatch.testing.judge import Judge
from ratedispatch.testing.provider import Provider, ProviderSettings, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

#: The largest body that is read; OpenAI's own bound on a request with images is 50 MB.
_LARGEST_BODY = 64 * 1024 * 1024

#: Connections that may wait to be accepted: thousands are opened at the same instant.
_BACKLOG = 8192

#: Pairs (linger on, 0 s): closing resets the connection instead of ending it in order.
_RESET = struct.pack("ii", 1, 0)


class FakeServer:
    """
    A provider behind HTTP on the running event loop.

    Args:
        settings: How the provider behaves.
        seed: Of the provider's chance; `reset` starts it anew.

    Use `start` and `stop`; connections and requests are served in between.
    """

    def __init__(self, settings: ProviderSettings, *, seed: int = 0) -> None:
        self._settings = settings
        self._seed = seed
        self._connections = 0
        self._connections_peak = 0
        self._connections_opened = 0
        self._loop = asyncio.get_running_loop()
        self._web = _Web(
            self._handle,
            self._connected,
            request_factory=self._make_request,
            handler_cancellation=True,  # a client that goes away must free what hangs
            access_log=None,
            lingering_time=0.0,
        )
        self._listener: asyncio.Server | None = None
        self._restart()

    async def start(self, host: str, port: int) -> int:
        """
        Listen on *host* and *port* (0 picks one); return the port.

        Raises:
            OSError: The address cannot be had.
        """
        self._listener = await self._loop.create_server(
            self._web, host, port, backlog=_BACKLOG, reuse_address=True
        )
        found: int = self._listener.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Stop listening and cut every connection, whatever it is waiting for."""
        if self._listener is not None:
            self._listener.close()
        await self._web.shutdown(timeout=0.01)

    def _restart(self) -> None:
        now = self._loop.time()
        self._provider = Provider(self._settings, rng=random.Random(self._seed), now=now)
        self._judge = Judge(self._provider.limits, self._settings.burst_seconds, now)
        self._connections_peak = self._connections

    def _connected(self, change: int) -> None:
        self._connections += change
        if change > 0:
            self._connections_opened += 1
            self._connections_peak = max(self._connections_peak, self._connections)

    def _make_request(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=_LARGEST_BODY
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        control = path.removeprefix("/v1").startswith("/_")
        body = await request.read() if request.can_read_body else b""
        if control:
            return self._control(request.method, path.removeprefix("/v1"), body)
        provider, judge = self._provider, self._judge
        arrived = self._loop.time()
        if request.method == "POST":
            reply = provider.arrive(path, request.headers, body, arrived)
        else:
            reply = provider.get(path, request.headers)
        judge.arrive(reply, arrived)
        sent = False
        returned = 0
        try:
            response = await self._answer(request, reply)
            transport = request.transport
            sent = transport is not None and not transport.is_closing()
            returned = provider.finish(reply, self._loop.time())
        finally:
            judge.finish(reply, self._loop.time(), arrived=arrived, sent=sent, returned=returned)
        return response

    async def _answer(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        """Wait as long as *reply* says and return it; cut the connection if that is its fault."""
        fault = reply.fault
        if fault == "reset":
            return self._cut(request, reset=True)
        if fault == "hang":
            await self._loop.create_future()
        if reply.delay > 0:
            await asyncio.sleep(reply.delay / 2 if fault == "disconnect" else reply.delay)
        if fault == "disconnect":
            return self._cut(request)
        response = web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        if fault == "truncate":
            return await self._truncate(request, response)
        return response

    async def _truncate(
        self, request: web.BaseRequest, response: web.Response
    ) -> web.StreamResponse:
        """Send the head and half of the body, then close."""
        partial = web.StreamResponse(status=response.status, headers=response.headers)
        assert isinstance(response.body, bytes)
        partial.content_length = len(response.body)
        await partial.prepare(request)
        await partial.write(response.body[: len(response.body) // 2])
        return self._cut(request)

    def _cut(self, request: web.BaseRequest, *, reset: bool = False) -> web.StreamResponse:
        """Close the connection; what is returned is never written."""
        transport = request.transport
        if transport is not None:
            if reset:
                sock = transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                transport.abort()
            else:
                transport.close()
        return _Unsent()

    def _control(self, method: str, path: str, body: bytes) -> web.StreamResponse:
        now = self._loop.time()
        if path == "/_stats":
            report = self._judge.report()
            report["connections"] = self._connections
            report["connections_peak"] = self._connections_peak
            report["connections_opened"] = self._connections_opened
            return _json(report)
        if method == "POST" and path == "/_reset":
            self._restart()
            return _json({"ok": True})
        if method == "POST" and path == "/_limits":
            try:
                wanted = json.loads(body)
                limits = self._provider.limits
                self._provider.set_limits(
                    wanted.get("rpm", limits["requests"]), wanted.get("tpm", limits["tokens"]), now
                )
            except (ValueError, TypeError, AttributeError) as error:
                return _json({"error": {"message": str(error)}}, status=400)
            self._judge.set_limits(self._provider.limits, now)
            return _json(self._provider.limits)
        return _json({"error": {"message": f"there is no {method} {path}"}}, status=404)


class _Web(web.Server):
    """aiohttp's low-level server, which tells how many connections are open."""

    def __init__(self, handler: Any, connected: Callable[[int], None], **options: Any) -> None:
        super().__init__(handler, **options)
        self._connected = connected

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._connected(1)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._connected(-1)


class _Unsent(web.StreamResponse):
    """Stands for a connection that is already cut."""

    async def prepare(self, request: web.BaseRequest) -> None:
        self._eof_sent = True
        self.force_close()

    async def write_eof(self, data: bytes = b"") -> None:
        pass


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(value).encode(), content_type="application/json"
    )


def raise_file_limit() -> None:
    """Let this process open as many connections as the system permits it to."""
    import resource  # noqa: PLC0415 - Unix only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
