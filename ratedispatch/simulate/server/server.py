"""
The fake provider on a real socket.

Answers ``/_stats``, ``/_limits`` and ``/_reset``. Decides nothing else: `accounts` says
whose a request is, `provider` what it gets, and `referee` what it meant; `visit` gives it, and
`http` reads and writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
from typing import TYPE_CHECKING, Any

from ratedispatch.simulate.accounts import Accounts
from ratedispatch.simulate.server.http import Connection, Exchange
from ratedispatch.simulate.server.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.simulate.settings import ProviderSettings

#: Connections that may wait to be accepted: thousands are opened at the same instant.
_BACKLOG = 8192

_JSON = {"content-type": "application/json"}


class FakeServer:
    """
    A provider behind HTTP on the running event loop.

    Args:
        settings: How the provider behaves.
        seed: The seed of the provider's random numbers; ``/_reset`` starts it over.
        keys: How it behaves towards each key that it knows; others are refused. None for one
            account that every key shares.

    Serves between `start` and `stop`.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        seed: int = 0,
        keys: Mapping[str, ProviderSettings] | None = None,
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._keys = keys or {}
        self._connections: set[Connection] = set()
        self._connections_peak = 0
        self._connections_opened = 0
        self._loop = asyncio.get_running_loop()
        self._listener: asyncio.Server | None = None
        self._restart()

    async def start(self, host: str, port: int) -> int:
        """
        Listen on *host* and *port* (0 picks one); return the port.

        Raises:
            OSError: The address is not available.
        """
        self._listener = await self._loop.create_server(
            lambda: Connection(self._serve, self._opened, self._closed),
            host,
            port,
            backlog=_BACKLOG,
        )
        found: int = self._listener.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Stop listening and cut every connection, whatever it is waiting for."""
        if self._listener is not None:
            self._listener.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # the loop reports each loss in its next turn

    def stats(self) -> dict[str, Any]:
        """Return what ``/_stats`` tells."""
        return {
            **self._accounts.report(self._loop.time()),
            "connections": len(self._connections),
            "connections_peak": self._connections_peak,
            "connections_opened": self._connections_opened,
        }

    def _restart(self) -> None:
        now = self._loop.time()
        self._accounts = Accounts(self._settings, self._keys, seed=self._seed, now=now)
        self._connections_peak = len(self._connections)
        self._connections_opened = 0

    def _opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._connections_opened += 1
        self._connections_peak = max(self._connections_peak, len(self._connections))

    def _closed(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def _serve(self, exchange: Exchange) -> None:
        path = exchange.path.removeprefix("/v1")
        if path.startswith("/_"):
            self._control(exchange, path)
            return
        now = self._loop.time()
        provider, referees = self._accounts.of(exchange.headers)
        if exchange.method == "POST":
            reply = provider.arrive(exchange.path, exchange.headers, exchange.body, now)
        else:
            reply = provider.get(exchange.path, exchange.headers, now)
        for referee in referees:
            referee.arrive(reply, now)
        Visit(self._loop, provider, referees, exchange, reply, now).begin()

    def _control(self, exchange: Exchange, path: str) -> None:
        now = self._loop.time()
        status = 200
        result: object
        if path == "/_stats":
            result = self.stats()
        elif exchange.method == "POST" and path == "/_reset":
            self._restart()
            result = {"ok": True}
        elif exchange.method == "POST" and path == "/_limits":
            try:
                result = self._change_limits(exchange.body, now)
            except (ValueError, TypeError, AttributeError) as error:
                status, result = 400, {"error": {"message": str(error)}}
        else:
            status = 404
            result = {"error": {"message": f"there is no {exchange.method} {path}"}}
        exchange.answer(status, _JSON, json.dumps(result).encode())

    def _change_limits(self, body: bytes, now: float) -> dict[str, float | None]:
        wanted = json.loads(body)
        provider = self._accounts.named(wanted.get("key"))
        provider.catch_up(now)
        limits = provider.limits
        provider.set_limits(
            wanted.get("rpm", limits["requests"]), wanted.get("tpm", limits["tokens"]), now
        )
        return provider.limits


def raise_file_limit() -> None:
    """Let this process open as many connections as the system permits it to."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
