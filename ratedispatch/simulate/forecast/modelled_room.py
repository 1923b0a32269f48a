"""
The room in flight in the model of a queue.

Tells the engine's own search only what teaches it something: as long as there is room to spare,
the latest answer is all that it would remember.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.pacing.concurrency.reading import Sent

if TYPE_CHECKING:
    from ratedispatch.pacing.concurrency.limit import ConcurrencyLimit


class ModelledRoom:
    """
    How many may be in flight.

    Args:
        concurrency: What decides it.

    Attributes:
        limit: How many may be in flight now.
        is_short: Whether it was room that held the queue back last.
    """

    __slots__ = ("_concurrency", "_last_load", "_learns", "_newest", "is_short", "limit")

    def __init__(self, concurrency: ConcurrencyLimit) -> None:
        self.is_short = False
        self.put(concurrency)

    def put(self, concurrency: ConcurrencyLimit) -> None:
        """Let *concurrency* decide from now on."""
        self._concurrency = concurrency
        self._learns = concurrency.learns
        self.limit = concurrency.limit
        self._newest: tuple[float, float] | None = None  # seconds of an answer, and when it came
        self._last_load: int | None = None  # least in flight of those that left with room to spare

    def follow(self, concurrency: ConcurrencyLimit) -> None:
        """Do the same if *concurrency* is another one."""
        if concurrency is not self._concurrency:
            self.put(concurrency)
        self.limit = concurrency.limit

    def wait(self, in_flight: int, now: float) -> float:
        """Return the seconds until the number may rise by itself; 0 if it has risen."""
        self.is_short = True
        concurrency = self._concurrency
        if self._learns:
            self._tell()
        wait = concurrency.full(now)
        self.limit = concurrency.limit
        return wait if in_flight >= self.limit else 0.0

    def sent(self, now: float, in_flight: int) -> Any:
        """Note that a request leaves; return what to give back with its answer."""
        if not self._learns:
            return None
        if self.is_short:
            self._tell()
            return self._concurrency.sent(now, in_flight, True)
        if self._last_load is None or in_flight < self._last_load:
            self._last_load = in_flight
        return None

    def answered(self, token: Any, sent_at: float, now: float) -> None:
        """Note that the request that left at *sent_at* was answered."""
        if token is None:
            self._newest = now - sent_at, now
        else:
            self._tell()
            self._concurrency.ended(token, now)
            self.limit = self._concurrency.limit

    def _tell(self) -> None:
        """Tell the search of those that had room to spare: the newest answer, and one that left."""
        concurrency = self._concurrency
        if self._newest is not None:
            seconds, at = self._newest
            concurrency.ended(Sent(at - seconds, -1, 0, False), at)
            self._newest = None
        if self._last_load is not None:
            concurrency.sent(0.0, self._last_load, False)
            self._last_load = None
