"""Limiters that refuse at once while answers take their time, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.limits import Limits

_ANSWER = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}

_PAGE = "<html><head><title>Refused</title></head><body>Refused</body></html>"


class Limiter(Protocol):
    """Says of each request whether it is let through."""

    def admit(self, row: int, now: float, in_flight: int, /) -> bool:
        """Return whether *row* is let through at *now* beside others *in_flight*."""


@dataclass
class Leaky:
    """So many a second, and a burst beside it: nginx's `limit_req` with nodelay."""

    per_second: float
    burst: float
    _excess: float = 0.0
    _last: float | None = None

    def admit(self, _row: int, now: float, _in_flight: int) -> bool:
        excess = 0.0
        if self._last is not None:
            excess = max(0.0, self._excess - self.per_second * (now - self._last)) + 1
        if excess > self.burst:
            return False
        self._excess, self._last = excess, now
        return True


@dataclass
class AtOnce:
    """So many at once: nginx's `limit_conn`."""

    most: int

    def admit(self, _row: int, _now: float, in_flight: int) -> bool:
        return in_flight < self.most


@dataclass
class Weighed:
    """So many in a period, the last one weighed by what is left of it: HAProxy's http_req_rate."""

    most: int
    period: float
    _tick: float | None = None
    _now: int = 0
    _before: int = 0

    def admit(self, _row: int, now: float, _in_flight: int) -> bool:
        if self._tick is None:
            self._tick = now
        while now >= self._tick + self.period:
            self._tick += self.period
            self._before, self._now = self._now, 0
        self._now += 1  # what is refused counts too
        left = (self._tick + self.period - now) / self.period
        return self._before * left + self._now <= self.most


@dataclass
class Window:
    """So many in any stretch of time, refusals not counted."""

    most: int
    period: float
    _log: list[float] = field(default_factory=list)

    def admit(self, _row: int, now: float, _in_flight: int) -> bool:
        self._log = [at for at in self._log if at > now - self.period]
        if len(self._log) >= self.most:
            return False
        self._log.append(now)
        return True


@dataclass
class Poison:
    """Refuses some rows whenever they come."""

    rows: set[int]

    def admit(self, row: int, _now: float, _in_flight: int) -> bool:
        return row not in self.rows


@dataclass
class Chance:
    """Refuses a share of all requests, whatever is done."""

    share: float
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def admit(self, _row: int, _now: float, _in_flight: int) -> bool:
        return self.rng.random() >= self.share


@dataclass
class Outage:
    """Refuses everything between two instants."""

    begin: float
    end: float

    def admit(self, _row: int, now: float, _in_flight: int) -> bool:
        return not self.begin <= now < self.end


@dataclass
class Both:
    """Lets through what two limiters do."""

    first: Limiter
    second: Limiter

    def admit(self, row: int, now: float, in_flight: int) -> bool:
        return self.first.admit(row, now, in_flight) and self.second.admit(row, now, in_flight)


@dataclass
class Limited:
    """
    What came of a run.

    Attributes:
        answered: Rows that were answered.
        failed: The code of each row that failed.
        refused: How many requests were refused.
        seconds: When the last row ended.
        last_answer: When the last answer came.
        peak: In flight at most.
        refusals_of: How often each row was refused.
    """

    answered: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    refused: int = 0
    seconds: float = 0.0
    last_answer: float = 0.0
    peak: int = 0
    refusals_of: Counter[int] = field(default_factory=Counter)
    stop: Stopped | None = None
    log: list[tuple[float, int, int, int]] = field(default_factory=list)


class LimitedTransport:
    """
    A server behind a limiter.

    Args:
        limiter: Decides at once.
        run: What is seen of it.
        status: Of a refusal.
        headers: Of a refusal.
        body: Of a refusal; an HTML page by default.
        latency: Seconds that an answer takes, or what draws them.
        travel: Seconds until a request arrives, and until a refusal is back, or what draws them.
    """

    is_simulated = True

    def __init__(
        self,
        limiter: Limiter,
        run: Limited,
        *,
        status: int = 429,
        headers: dict[str, str] | None = None,
        body: Any = None,
        latency: float | Callable[[], float] = 0.2,
        travel: float | Callable[[], float] = 0.001,
    ) -> None:
        self._limiter = limiter
        self._run = run
        self._status = status
        self._headers = headers or {}
        self._body = body
        self._latency = latency if callable(latency) else lambda: latency
        self._travel = travel if callable(travel) else lambda: travel
        self._in_flight = 0

    async def send(self, request: Request, timeout: float) -> Response:
        """Send *request*."""
        del timeout
        loop, run = asyncio.get_running_loop(), self._run
        await asyncio.sleep(self._travel())
        row = int(request.custom_id or 0)
        now = loop.time()
        if not self._limiter.admit(row, now, self._in_flight):
            run.refused += 1
            run.refusals_of[row] += 1
            run.log.append((round(now, 3), row, self._in_flight, self._status))
            await asyncio.sleep(self._travel())
            if self._body is None:
                return Response(self._status, self._headers, _PAGE, is_json=False)
            return Response(self._status, self._headers, self._body)
        run.log.append((round(now, 3), row, self._in_flight, 200))
        self._in_flight += 1
        run.peak = max(run.peak, self._in_flight)
        await asyncio.sleep(self._latency())
        self._in_flight -= 1
        run.last_answer = loop.time()
        return Response(200, {}, _ANSWER)


def _row(number: int) -> Request:
    return Request.chat(
        model="gpt-4o",
        messages=[{"role": "user", "content": f"{number} word "}],
        max_tokens=16,
        custom_id=str(number),
    )


def run_limited(
    limiter: Limiter,
    limits: Limits,
    *,
    rows: int = 300,
    seed: int = 1,
    options: dict[str, Any] | None = None,
    until: float = 2000.0,
    **server: Any,
) -> Limited:
    """Send *rows* to a server behind *limiter*, and return what came of it."""
    run = Limited()

    async def main() -> None:
        transport = LimitedTransport(limiter, run, **server)
        given = {"rng": random.Random(seed), **(options or {})}
        async with Dispatcher(transport, limits, **given) as dispatcher:
            try:
                async with asyncio.timeout(until):
                    async for outcome in dispatcher.map(_row(i) for i in range(rows)):
                        row = int(outcome.request.custom_id or 0)
                        if isinstance(outcome, Completed):
                            run.answered.append(row)
                        elif isinstance(outcome, Failed):
                            run.failed[row] = outcome.code
            except Stopped as stop:
                run.stop = stop
            except TimeoutError:
                pass
        run.seconds = asyncio.get_running_loop().time()

    run_virtual(main())
    return run
