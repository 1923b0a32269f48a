"""
A doubt: whether the model and the path that a job has begun with exist at all.

Until one request has been answered, a 403 or 404 may be meant for all of them. Nothing further is
sent then; what is in flight decides. Knows nothing of requests, buckets or HTTP.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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
        """A request was answered in earnest: the model, the path and the key are right."""
        self.is_trusted = True
        if self._missing is not None:
            self._missing = None
            self._resolved.set()
            self._routes.release()

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
