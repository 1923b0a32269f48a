"""A proxy that counts by clock minutes, and by answers, in virtual time (as LiteLLM's does)."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Response
from ratedispatch.request import CHAT, Request
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from typing import Any

_LIMIT = 600
_EPOCH = 1_800_000_000  # the beginning of a minute

_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
}


class Proxy:
    """
    Refuses what arrives beyond the limit of a clock minute, refusals included.

    Its headers tell what is left after those that were answered, with *lag*, and the one that
    carries them left out.

    Args:
        phase: Seconds of its minute that are over at the start.
        latency: Seconds to an answer.
        lag: Seconds after an answer until its number has it.
        places: Requests that it works on at once.
        stale: Seconds of a minute in which it still tells what was left of the last.
    """

    def __init__(
        self,
        phase: float,
        *,
        latency: float = 0.2,
        lag: float = 0.02,
        places: int = 1000,
        stale: float = 0.0,
    ) -> None:
        self.base_url = "http://proxy.test/v1"
        self.phase, self.latency, self.lag = phase, latency, lag
        self.stale = stale
        self.places = asyncio.Semaphore(places)
        self.arrived: dict[int, int] = {}
        self.counted: dict[int, int] = {}
        self.refused = 0
        self.last = 0.0

    def _now(self) -> float:
        return asyncio.get_running_loop().time() + self.phase

    def _count(self) -> None:
        minute = int(self._now() // 60)
        self.counted[minute] = self.counted.get(minute, 0) + 1

    async def send(self, request: Request, timeout: float) -> Response:
        """Answer, or refuse at once."""
        del request, timeout
        await asyncio.sleep(0.002)
        minute = int(self._now() // 60)
        self.arrived[minute] = arrived = self.arrived.get(minute, 0) + 1
        headers = {"x-litellm-version": "1.108.7", "date": self._date()}
        if arrived > _LIMIT:
            self.refused += 1
            text = f"Model rate limit exceeded. RPM limit={_LIMIT}, current usage={arrived}"
            body = {"error": {"message": text, "type": "throttling_error", "code": "429"}}
            return Response(429, {**headers, "retry-after": "60"}, body)
        async with self.places:
            await asyncio.sleep(self.latency)
        left = _LIMIT - self.counted.get(int((self._now() - self.stale) // 60), 0)
        asyncio.get_running_loop().call_later(self.lag, self._count)
        headers |= {
            "date": self._date(),
            "x-ratelimit-limit-requests": str(_LIMIT),
            "x-ratelimit-remaining-requests": str(left),
        }
        self.last = asyncio.get_running_loop().time()
        return Response(200, headers, _ANSWER)

    def _date(self) -> str:
        return formatdate(_EPOCH + int(self._now()), usegmt=True)


def run(phase: float, rows: int = 900, limits: Limits | None = None, **proxy: Any) -> Proxy:
    """Send *rows* from *phase* seconds into a minute on; return the proxy."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}], "max_tokens": 4}
    requests = [Request(body, CHAT, f"r{number}") for number in range(rows)]

    async def main() -> Proxy:
        made = Proxy(phase, **proxy)
        answered = set()
        async with Dispatcher(made, limits or Limits(_LIMIT)) as dispatcher:
            async for outcome in dispatcher.map(requests):
                assert isinstance(outcome, Completed)
                answered.add(outcome.request.custom_id)
        assert len(answered) == rows
        return made

    return run_virtual(main())
