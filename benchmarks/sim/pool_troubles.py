"""
A pool of two members, one of which is in trouble.

Decides what each member says and when, and how slow the other one is.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.sim.troubles import FELT, OK, Call, Server, error, row
from ratedispatch import Completed, Dispatcher, Limits, Member, Pool
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.outcome import Response


@dataclass(frozen=True, slots=True)
class PoolTrouble:
    """
    What a pool meets.

    Args:
        name: As in the table of constants.
        answer: What the first member says; the other one answers.
        rpm: The requests per minute of both.
        rows: How many there are.
    """

    name: str
    answer: Callable[[Call], Response]
    rpm: tuple[float, float]
    rows: int


def _without_credit(end: float) -> Callable[[Call], Response]:
    spent = error(429, "You exceeded your current quota.", "insufficient_quota")
    return lambda call: spent if 2 <= call.at < end else OK


def _asks_for_time(call: Call) -> Response:
    return error(429, retry_after="8") if call.number % 10 == 9 else OK


POOL_TROUBLES: tuple[PoolTrouble, ...] = (
    PoolTrouble("one member has credit again after 50 s", _without_credit(50), (600, 60), 700),
    PoolTrouble("one member has credit again after 40 min", _without_credit(2_400), (60, 6), 500),
    PoolTrouble("one member asks for 8 s now and then", _asks_for_time, (600, 600), 100),
)


def play_pool(trouble: PoolTrouble, seed: int) -> dict[str, float]:
    """Send the rows by the pool; return what a user feels."""

    async def main() -> tuple[int, int, float]:
        servers = Server(trouble.answer), Server(lambda _: OK)
        members = [
            Member(server, Limits(rpm, burst_seconds=1.0), name)
            for server, rpm, name in zip(servers, trouble.rpm, ("first", "other"), strict=True)
        ]
        answered = 0
        async with Dispatcher(Pool(members), rng=random.Random(seed)) as dispatcher:
            async for outcome in dispatcher.map(row(number) for number in range(trouble.rows)):
                answered += isinstance(outcome, Completed)
        calls = sum(server.calls for server in servers)
        return answered, calls, asyncio.get_running_loop().time()

    answered, calls, seconds = run_virtual(main())
    return dict(zip(FELT, (seconds, trouble.rows - answered, calls - answered), strict=True))
