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

    __slots__ = ("_concurrency", "_learns", "_newest", "_was_roomy", "is_short", "limit")

    def __init__(self, concurrency: ConcurrencyLimit) -> None:
        self.is_short = False
        self.put(concurrency)

    def put(self, concurrency: ConcurrencyLimit) -> None:
        """Let *concurrency* decide from now on."""
        self._concurrency = concurrency
        self._learns = concurrency.learns
        self.limit = concurrency.limit
        self._newest: tuple[float, float] | None = None  # seconds of an answer, and when it came
        self._was_roomy = False

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
            if self._newest is not None:  # of requests that taught it nothing else
                seconds, at = self._newest
                concurrency.ended(Sent(at - seconds, -1, 0, False), at)
                self._newest = None
            if self._was_roomy:
                concurrency.sent(now, 0, False)
                self._was_roomy = False
        wait = concurrency.full(now)
        self.limit = concurrency.limit
        return wait if in_flight >= self.limit else 0.0

    def sent(self, now: float, in_flight: int) -> Any:
        """Note that a request leaves; return what to hand back with its answer."""
        if not self._learns:
            return None
        if self.is_short:
            return self._concurrency.sent(now, in_flight, True)
        if in_flight < self.limit:
            self._was_roomy = True
        return None

    def answered(self, token: Any, sent_at: float, now: float) -> None:
        """Note that the request that left at *sent_at* was answered."""
        if token is None:
            self._newest = now - sent_at, now
        else:
            self._concurrency.ended(token, now)
            self.limit = self._concurrency.limit
            self._newest = None
