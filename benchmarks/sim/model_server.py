"""
A server that answers so many requests at once, and a client that keeps a number in flight.

Decides when each request is answered or refused, in virtual time. Knows limits on the number in
flight by their seam, and no way of finding one.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratedispatch.pacing.concurrency.limit import ConcurrencyLimit

#: Seconds to the server and back, after which a refusal is known.
_TRAVEL = 0.02


@dataclass(frozen=True, slots=True)
class ModelServer:
    """
    How a server serves.

    Args:
        places: Requests served at once.
        service: Mean seconds of a request that is served alone.
        sigma: Of the log-normal distribution around it.
        queue: How many may wait; who finds it full is refused at once.
        patience: Seconds after which who waits is refused.
        batching: How many times longer a request takes in a full server than alone, less one.
    """

    places: int
    service: float = 1.0
    sigma: float = 0.3
    queue: float = math.inf
    patience: float = math.inf
    batching: float = 0.0

    def seconds(self, active: int, rng: random.Random) -> float:
        """Return how long a request takes that begins with *active* others."""
        slower = 1 + self.batching * active / self.places
        drawn = math.exp(rng.gauss(0, self.sigma) - self.sigma**2 / 2)
        return self.service * slower * drawn


@dataclass
class Served:
    """
    What came of a run.

    Args:
        ends: When each request was answered.
        latencies: How long its last attempt took.
        refused: How many attempts were refused.
        peak: The most in flight.
    """

    ends: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    peak: int = 0

    @property
    def per_second(self) -> float:
        """Answers a second, until the last."""
        return len(self.ends) / self.ends[-1]

    def latency(self, share: float) -> float:
        """Return the latency that *share* of the requests stay within."""
        return sorted(self.latencies)[int(share * len(self.latencies))]


_ANSWER, _REFUSAL, _GIVE_UP = range(3)


class _Run:
    """One job: *rows* requests that are there from the start."""

    def __init__(
        self, server: ModelServer, limit: ConcurrencyLimit, rows: int, rng: random.Random
    ) -> None:
        self._server, self._limit, self._left, self._rng = server, limit, rows, rng
        self._events: list[tuple[float, int, int, float, Any]] = []
        self._waiting: deque[tuple[int, float, Any]] = deque()
        self._given_up: set[int] = set()
        self._number = self._active = self._in_flight = 0
        self.served = Served()

    def play(self) -> Served:
        """Answer every row."""
        now, rows = 0.0, self._left
        while len(self.served.ends) < rows:
            while self._left and self._in_flight < self._limit.limit:
                self._send(now)
            self.served.peak = max(self.served.peak, self._in_flight)
            now, number, kind, sent_at, token = heapq.heappop(self._events)
            if kind == _GIVE_UP:
                self._give_up(number, now, sent_at, token)
                continue
            self._in_flight -= 1
            if kind == _ANSWER:
                self._active -= 1
                self.served.ends.append(now)
                self.served.latencies.append(now - sent_at)
                self._limit.ended(token, now)
                self._serve(now)
            else:
                self.served.refused += 1
                self._left += 1
                self._limit.dropped(token)
        return self.served

    def _send(self, now: float) -> None:
        self._in_flight += 1
        self._left -= 1
        self._number += 1
        number, server = self._number, self._server
        token = self._limit.sent(now, self._in_flight, True)
        waiting = len(self._waiting) - len(self._given_up)
        if self._active >= server.places and waiting >= server.queue:
            self._push(now + _TRAVEL, number, _REFUSAL, now, token)
            return
        self._waiting.append((number, now, token))
        if server.patience < math.inf:
            self._push(now + server.patience, number, _GIVE_UP, now, token)
        self._serve(now)

    def _serve(self, now: float) -> None:
        while self._waiting and self._active < self._server.places:
            number, sent_at, token = self._waiting.popleft()
            if number in self._given_up:
                self._given_up.discard(number)
                continue
            takes = self._server.seconds(self._active, self._rng)
            self._active += 1
            self._push(now + takes, number, _ANSWER, sent_at, token)

    def _give_up(self, number: int, now: float, sent_at: float, token: Any) -> None:
        if any(waiting == number for waiting, *_ in self._waiting):
            self._given_up.add(number)
            self._push(now, number, _REFUSAL, sent_at, token)

    def _push(self, at: float, number: int, kind: int, sent_at: float, token: Any) -> None:
        heapq.heappush(self._events, (at, number, kind, sent_at, token))


def play(server: ModelServer, limit: ConcurrencyLimit, rows: int, seed: int) -> Served:
    """Send *rows* requests to *server*, as many at once as *limit* allows."""
    return _Run(server, limit, rows, random.Random(seed)).play()
