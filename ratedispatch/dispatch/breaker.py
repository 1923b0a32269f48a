"""
A circuit breaker: whether there is a point in sending more.

Opens when the server cannot be reached, or when the model or path is not found before anything
was answered. While it is open the queues are held; single probes go through (half-open), and in
the end it closes again or stops the job. Knows nothing of requests, buckets or HTTP.

Without it a mistyped model would be reported once for each of a million rows, and a router that
restarts at night would use up the attempts of every row that is tried meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.route import Routes
    from ratedispatch.outcome import Interpretation

#: Seconds before the first probe of a server that cannot be reached, and between later ones.
_FIRST_PROBE = 0.5
_LONGEST_PROBE = 30.0

#: Probes before giving up a server that never answered: 0.5 + 1 + 2 = 3.5 s in all. One that does
#: not even refuse takes longer over each, so there are fewer.
_PROBES_AT_START = 3
_PATIENCE_AT_START = 4.0

#: Seconds to go on probing a server that has answered before: long enough for a router or a
#: server to restart, short enough that the reason stands in the log when somebody looks.
_PATIENCE = 900.0


class CircuitBreaker:
    """
    The breaker of the routes to one server.

    Args:
        routes: Held while it is open.
        stop: Called with a code and a message when there is no point in going on.

    Attributes:
        is_watching: Whether it wants to be told of answers and ends: until the first success, and
            while it is open.
    """

    def __init__(self, routes: Routes, stop: Callable[[str, str], None]) -> None:
        self._routes = routes
        self._stop = stop
        self._doubt: Interpretation | None = None
        self._resolved: asyncio.Event = asyncio.Event()
        self._is_trusted = False
        self._is_reached = False
        self._probes = 0
        self._unreached_since: float | None = None
        self._probe_timer: asyncio.TimerHandle | None = None
        self._is_abandoned = False
        self._message = ""  # why it could not be reached
        self.is_watching = True

    def on_success(self) -> None:
        """A request was answered in earnest: the model, the path and the key are right."""
        if not self._is_trusted:
            self._is_trusted = True
            if self._doubt is not None:
                self._doubt = None
                self._resolved.set()
                self._routes.release()
        self._update()

    def on_reached(self) -> None:
        """Some answer came: the server can be reached."""
        self._is_reached = True
        if self._unreached_since is not None:
            self._unreached_since = None
            self._probes = 0
            self._cancel_timer()
            if self._doubt is None:
                self._routes.release()
        self._update()

    async def confirm(self, result: Interpretation) -> None:
        """
        Return when it is certain that only this request has a wrong model or path.

        Until one request has been answered, nothing further is sent; what is in flight decides.
        """
        if self._is_trusted or self._is_abandoned:
            return
        if self._doubt is None:
            self._doubt = result
            self.is_watching = True
            self._resolved.clear()
            self._routes.hold()
        self.on_ended()
        await self._resolved.wait()

    def on_ended(self) -> None:
        """
        Something in flight has ended, or will not be sent.

        If it was the last, the doubt is confirmed; and a probe that came to nothing, because it
        broke off or was cancelled, is followed by another one.
        """
        is_waiting = self._unreached_since is not None and self._probe_timer is None
        if (self._doubt is None and not is_waiting) or self._routes.in_flight:
            return
        if self._doubt is not None:
            self._stop("not_found", self._doubt.message)
        elif not self._is_abandoned:
            self.on_unreachable(self._message)

    def on_unreachable(self, message: str) -> None:
        """A connection could not be opened: hold the queues and probe, or give up."""
        self._message = message
        now = asyncio.get_running_loop().time()
        if self._unreached_since is None:
            self._unreached_since = now
            self.is_watching = True
            self._routes.hold()
        if self._probe_timer is not None:
            return
        waited = now - self._unreached_since
        if self._is_reached:
            is_over = waited > _PATIENCE
        else:
            is_over = self._probes >= _PROBES_AT_START or waited > _PATIENCE_AT_START
        if is_over:
            self._stop("unreachable", message)
            return
        delay = min(_LONGEST_PROBE, _FIRST_PROBE * 2.0**self._probes)
        self._probes += 1
        self._probe_timer = asyncio.get_running_loop().call_later(delay, self._probe)

    def abandon(self) -> None:
        """Everything stops: nobody waits for a doubt to be resolved any more."""
        self._is_abandoned = True
        self._resolved.set()
        self._cancel_timer()

    def _update(self) -> None:
        is_open = self._doubt is not None or self._unreached_since is not None
        self.is_watching = is_open or not (self._is_trusted and self._is_reached)

    def _probe(self) -> None:
        self._probe_timer = None
        self._routes.release(1)

    def _cancel_timer(self) -> None:
        if self._probe_timer is not None:
            self._probe_timer.cancel()
            self._probe_timer = None
