"""Two processes that share a limit, against a provider whose limit is not the one that it tells."""

from __future__ import annotations

import asyncio
import random

from benchmarks.sim.shared_world import Member, rows
from ratedispatch import Limits
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual


def test_a_request_that_was_refused_brings_nothing_back() -> None:
    """
    Headers tell 56 a minute where 55.5 are allowed: now and then a request is refused, alone.

    What its answer says was left is without it; were its amount added once more, the next one
    would be refused for that, and so on: 15 times in these minutes.
    """

    async def play() -> int:
        loop = asyncio.get_running_loop()
        settings = ProviderSettings(90, None, burst_seconds=10, latency=0.5)
        transport = ProviderTransport(settings, random.Random(1))
        shared, limits = SharedRecord(), Limits(90, burst_seconds=2)
        members = [Member(name, shared.join(), transport, limits) for name in ("one", "two")]
        work = [asyncio.create_task(member.work(rows(member.name, 999))) for member in members]
        await asyncio.sleep(30)
        transport.provider.set_limits(55.5, None, loop.time())
        await asyncio.sleep(270)
        for task in work:
            task.cancel()
        return sum(transport.referee.report()["refused"].values())

    assert run_virtual(play()) <= 8
