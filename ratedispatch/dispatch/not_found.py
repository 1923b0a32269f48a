"""
Decides whether the model and the path with which a job starts exist at all.

Until one request has been answered, a 403 or 404 may apply to all of them. While that is open,
nothing more is sent, and the requests in flight decide. Knows nothing of buckets or HTTP.
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


class NotFoundGuard:
    """
    Holds the queue after a first 403 or 404, until the requests in flight explain it.

    Args:
        routes: All routes; they are held while the question is open.
        stop: Stops the job, with a code and a message; called when no request in flight was
            answered.

    Attributes:
        is_trusted: Whether a request has been answered, so that model, path and key can be right.
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
        """Note that a request was answered: its model, path and key are right."""
        self.is_trusted = True
        if self._missing is not None:
            self._missing = None
            self._resolved.set()
            self._routes.release()

    async def may_try_again(self, call: InFlight, result: Interpretation) -> bool:
        """
        Wait until it is certain why *call* failed; return whether another attempt makes sense.

        It does if the server or a member of the pool failed, and not the request itself.

        Raises:
            Stopped: All requests fail, and no route is left that could send this one.
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
        """Wait until it is certain that only this request has a wrong model or path."""
        if self.is_trusted or self._is_abandoned:
            return
        if self._missing is None:
            self._missing = result
            self._resolved.clear()
            self._routes.hold()
        self.on_ended()
        await self._resolved.wait()

    def on_ended(self) -> None:
        """Note that a request in flight has ended; stop the job if it was the last one."""
        if self._missing is not None and not self._routes.in_flight:
            self._stop("not_found", self._missing.message)

    def abandon(self) -> None:
        """Release those who wait for the explanation, as the job stops anyway."""
        self._is_abandoned = True
        self._resolved.set()
