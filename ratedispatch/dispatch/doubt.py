"""
Decides whether the model and the path with which a job begins exist at all.

Until one request has been answered, a 403 or 404 may apply to all of them. Then nothing more is
sent, and the requests in flight decide. Knows nothing of buckets or HTTP.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ratedispatch.errors import Stopped
from ratedispatch.outcome import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.inflight import InFlight
    from ratedispatch.dispatch.route import Routes
    from ratedispatch.outcome import Interpretation


class Doubt:
    """
    The doubt about a server.

    Args:
        routes: Held while it is open.
        stop: Called with a code and a message when it is confirmed.

    Attributes:
        is_trusted: Whether some request has shown that model, path and key can be right.
    """

    def __init__(self, routes: Routes, stop: Callable[[str, str], None]) -> None:
        self._routes = routes
        self._stop = stop
        self._missing: Interpretation | None = None
        self._resolved = asyncio.Event()
        self._is_abandoned = False
        self.is_trusted = False

    @property
    def is_open(self) -> bool:
        """Whether something was not found, and nothing has been answered yet."""
        return self._missing is not None

    def on_success(self) -> None:
        """A request was really answered: the model, the path and the key are right."""
        self.is_trusted = True
        if self._missing is not None:
            self._missing = None
            self._resolved.set()
            self._routes.release()

    async def lingers(self, call: InFlight, result: Interpretation) -> bool:
        """
        Wait until it is certain why *call* failed; return whether that may not have been its own.

        Raises:
            Stopped: All fail, and nothing is left that it could be sent by.
        """
        if result.decision is Decision.ANSWERED:
            return False
        if result.decision is Decision.MISSING:
            await self.confirm(result)
        try:
            return await call.route.breaker.confirm(call)
        except Stopped:
            only = self._routes.only
            if only is call.route or only is None or only.retired is not None:
                raise
            return True  # it was the member of the pool that failed

    async def confirm(self, result: Interpretation) -> None:
        """Return when it is certain that only this request has a wrong model or path."""
        if self.is_trusted or self._is_abandoned:
            return
        if self._missing is None:
            self._missing = result
            self._resolved.clear()
            self._routes.hold()
        self.on_ended()
        await self._resolved.wait()

    def on_ended(self) -> None:
        """Something in flight has ended; if it was the last, the doubt is confirmed."""
        if self._missing is not None and not self._routes.in_flight:
            self._stop("not_found", self._missing.message)

    def abandon(self) -> None:
        """Everything stops: nobody waits for it to be resolved any more."""
        self._is_abandoned = True
        self._resolved.set()
