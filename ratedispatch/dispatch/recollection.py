"""
Loads what earlier runs have learned into new routes, and saves what this run learns.

The interface between the parts that learn and the memory: no other module of this room knows of
memory. What is loaded is the starting point of a part; readings, refusals and answers change it as
usual.
"""

from __future__ import annotations

import hashlib
import math
import threading
from typing import TYPE_CHECKING, Any

from ratedispatch.memory import facts
from ratedispatch.memory.remembered import Remembered, facts_of
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.shared.shared_search import SharedSearch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ratedispatch.dispatch.route import Route
    from ratedispatch.memory.facts import Fact
    from ratedispatch.memory.state_folder import AccountMemory, Memory
    from ratedispatch.pacing.limit.limit_memory import LimitMemory
    from ratedispatch.tokens.calibration import Calibration

#: Seconds between two times at which what was learned is kept; a process that is killed loses what
#: it has learned since.
EVERY_SECONDS = 60.0

#: The key of a transport that knows of none.
_NO_KEY = "-"

#: Bytes of what stands for a key.
_DIGEST_BYTES = 16


def digest_of(key: str) -> bytes:
    """Return what stands for *key*, which is kept nowhere."""
    return hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).digest()


def is_lasting(digest: bytes) -> bool:
    """Return whether *digest* is that of a key, or of none, in every process."""
    return len(digest) in {0, _DIGEST_BYTES}


def put(route: Route, remembered: Remembered) -> None:
    """Let the pauses and the timeout of *route*, which is new, begin with what is *remembered*."""
    route.lane.brake.recall(remembered.per_second, remembered.room)
    if remembered.slowest is not None:
        route.timeout.recall(*remembered.slowest)


def take(route: Route, calibration: Calibration, now: float) -> list[Fact]:
    """Return what *route* and the *calibration* of its models have learned, at *now*."""
    lane = route.lane
    with lane.queue.lock:
        instant = lane.queue.alarm.time()
        per_second, room = lane.brake.found(instant)
    in_flight: int | None = None
    latency: float | None = None
    adaptive = lane.brake.concurrency
    if isinstance(adaptive, AdaptiveLimit | SharedSearch) and room is None:
        in_flight, latency = adaptive.found, adaptive.newest
    find = getattr(lane.budget, "found", None)  # budgets of others need not have it
    limits: tuple[LimitMemory, ...] = () if find is None else find(instant)
    return facts_of(
        now,
        limits=limits,
        numbers={
            facts.RATE: per_second,
            facts.ROOM: room,
            facts.IN_FLIGHT: in_flight,
            facts.LATENCY: latency,
        },
        slowest=route.timeout.found(),
        outputs=calibration.found(),
    )


class Recollection:
    """
    The memory of the routes of one dispatcher, or of one gate.

    Args:
        memory: Where it is kept; None for none.
        account: The server, and what stands for the key, where no transport tells them.
    """

    def __init__(
        self, memory: Memory | None, account: tuple[str | None, bytes] | None = None
    ) -> None:
        self._memory = memory
        self._account = account
        self._lock = threading.Lock()
        self._due_at = -math.inf
        self._accounts: dict[str, AccountMemory] = {}
        self._routes: dict[Route, AccountMemory] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._outputs: dict[str, int] = {}
        self._calibration: Calibration | None = None

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._memory is not None

    def recall(self, name: str, transport: Any) -> Remembered:
        """
        Return what is known of the account of a route that is to be made.

        Args:
            name: The name of the route.
            transport: What sends; tells the server and the key.
        """
        if self._memory is None:
            return Remembered()
        if self._account is not None:
            url, digest = self._account
        else:
            key = getattr(transport, "api_key", _NO_KEY)
            if not (isinstance(key, str) and key):  # it is given by a function, and changes
                return Remembered()
            url, digest = getattr(transport, "base_url", None), digest_of(key)
        account = self._memory.of(url, digest, name)
        if account is None:
            return Remembered()
        self._accounts[name] = account
        remembered = account.recall()
        self._outputs |= remembered.outputs
        if self._calibration is not None:
            self._calibration.recall(remembered.outputs)
        return remembered

    def begin(self, route: Route, remembered: Remembered) -> None:
        """Let *route*, which is new, begin with what is *remembered*; keep what it learns."""
        account = self._accounts.pop(route.name, None)
        if account is not None:
            self._routes[route] = account
            put(route, remembered)

    def share(self, calibration: Calibration) -> None:
        """Let *calibration*, of all models, begin with what is remembered, and keep it, too."""
        self._calibration = calibration
        calibration.recall(self._outputs)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep what is learned every minute from now on."""
        if self._memory is not None:
            self._timer = loop.call_later(EVERY_SECONDS, self._go_on, loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self.keep()
        self.start(loop)

    def stop(self) -> None:
        """Keep what was learned, for the last time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.keep()

    def keep(self) -> None:
        """Keep what all routes have learned so far."""
        if self._calibration is None:
            return
        with self._lock:
            for route, account in list(self._routes.items()):
                account.keep(_taker(route, self._calibration))

    def keep_if_due(self, now: float) -> None:
        """Keep it in a thread if a minute has passed since the last time, or begin to count."""
        if now >= self._due_at:
            has_begun, self._due_at = self._due_at > -math.inf, now + EVERY_SECONDS
            if has_begun:
                threading.Thread(target=self.keep, daemon=True).start()


def _taker(route: Route, calibration: Calibration) -> Callable[[float], list[Fact]]:
    def found(now: float) -> list[Fact]:
        """Return what was learned by *now*."""
        return take(route, calibration, now)

    return found
