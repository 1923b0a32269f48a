"""
A job that waits behind more urgent requests than the limit allows.

Decides who wants what; virtual time, the engine itself and a fake provider.
"""

from __future__ import annotations

import asyncio
import random

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.limits import Limits
from ratedispatch.request import Request
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual

_RPM = 600

#: Rows of the job; and how many urgent calls are open at any time, which is more than there is.
_ROWS = 30
_URGENT = 50


def _request(name: str) -> Request:
    messages = [{"role": "user", "content": name}]
    return Request.chat(model="gpt-4o", messages=messages, max_tokens=16, custom_id=name)


def play_beside(seed: int) -> dict[str, float]:
    """Return when the job is done, and how many seconds the urgent calls take on average."""
    settings = ProviderSettings(_RPM, None, burst_seconds=1.0)
    waits: list[float] = []

    async def urgent(dispatcher: Dispatcher) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            await dispatcher.submit(_request("urgent"), priority=1)
            waits.append(loop.time() - begun)

    async def main() -> float:
        transport = ProviderTransport(settings, random.Random(f"background {seed}"))
        limits, rng = Limits(_RPM), random.Random(seed)
        async with Dispatcher(transport, limits, rng=rng) as dispatcher:
            callers = [asyncio.create_task(urgent(dispatcher)) for _ in range(_URGENT)]
            await asyncio.sleep(1.0)
            async for _ in dispatcher.map(_request(f"row {n}") for n in range(_ROWS)):
                pass
            done = asyncio.get_running_loop().time()
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        return done

    done = run_virtual(main())
    return {"seconds": done, "mean wait of urgent calls": sum(waits) / len(waits)}
