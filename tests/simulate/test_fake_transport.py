"""A provider in the same process, in virtual time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.referee import Referee
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.simulate.providers import chat


def play(arrivals: list[float], **settings: Any) -> tuple[list[tuple[int, float]], dict[str, Any]]:
    """Send a request at each instant; return statuses with instants of answers, and the report."""
    options = {"charge": "characters", "latency": 1.0, "latency_sigma": 0.0, **settings}

    async def main() -> tuple[list[tuple[int, float]], dict[str, Any]]:
        transport = ProviderTransport(ProviderSettings(**options), random.Random(1))
        loop = asyncio.get_running_loop()

        async def send(at: float) -> tuple[int, float]:
            await asyncio.sleep(at)
            response = await transport.send(Request(body=chat()), 60.0)
            return response.status, loop.time()

        found = await asyncio.gather(*(send(at) for at in arrivals))
        return found, transport.referee.report()

    return run_virtual(main())


def test_a_queue_passes_in_virtual_time() -> None:
    """Three are served one after the other, the fourth finds no room, a late one waits for none."""
    answers, report = play([0.0, 0.0, 0.5, 0.6, 7.0], engine_slots=1, queue=2)
    assert answers == [(200, 1.0), (200, 2.0), (200, 3.0), (503, 0.6), (200, 8.0)]
    assert report["refused"] == {"queue_full": 1}
    assert report["queue_peak"] == 2
    assert report["slots_busy_share"] == 4 / 8


def test_limits_change_and_others_come_in_virtual_time() -> None:
    """The referee in the same process hears of both."""
    answers, report = play(
        [1.0, 2.0, 3.0, 65.0],
        requests_per_minute=2,
        changes=((60.0, 120.0, None),),
        competitor=((1.5, 60.0), (2.1, 0.0)),
        latency=0.0,
    )
    assert [status for status, _ in answers] == [200, 429, 429, 200]
    assert report["limits"] == {"requests": 120.0, "tokens": None}
    assert report["competitor"] == {"admitted": 1, "refused": 0, "tokens": 50}


def test_one_referee_watches_several_providers() -> None:
    """A row that two of them answered was answered twice; each has its schedule."""

    async def main() -> tuple[dict[str, Any], list[int]]:
        overseer = Referee.of_all(0.0)
        options: Any = {"charge": "characters", "latency": 1.0, "latency_sigma": 0.0}
        schedules: list[dict[str, Any]] = [
            {"requests_per_minute": 600, "quota_time": (5.0, 10.0)},
            {"requests_per_minute": 1200, "fault_times": ((5.0, 10.0, "html"),)},
            {"requests_per_minute": 3000, "revoked_time": (5.0, 10.0)},
        ]
        routes = [
            ProviderTransport(
                ProviderSettings(**options, **schedule), random.Random(1), overseer=overseer
            )
            for schedule in schedules
        ]
        statuses = []
        for at in (0.0, 4.0, 10.0, 15.0):
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            for number, route in enumerate(routes):
                twice = number == 2 and at == 0.0
                request = Request(body=chat(), custom_id=f"{at}-{0 if twice else number}")
                statuses.append((await route.send(request, 60.0)).status)
        return overseer.report(), statuses

    report, statuses = run_virtual(main())
    assert statuses == [200, 200, 200, 200, 502, 401, 429, 502, 401, 200, 200, 200]
    assert (report["arrived"], report["answered"], report["answered_twice"]) == (12, 7, 1)
    assert report["refused"] == {"quota": 1}
    assert report["faults"] == {"html": 2}
    assert report["excess"]["admitted"] == {"requests": None, "tokens": None}
