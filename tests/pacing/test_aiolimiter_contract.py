"""What bucket.py relies on in aiolimiter's private parts, so that an upgrade shows here first."""

from __future__ import annotations

import asyncio
import random
from typing import cast

from aiolimiter import AsyncLimiter

from ratedispatch.limits import Rate
from ratedispatch.pacing.bucket import Bucket
from ratedispatch.simulate.clock import run_virtual


def test_the_level_is_a_meter_that_leaks_at_the_rate() -> None:
    """_level rises by hand, _leak lowers it by elapsed × _rate_per_sec, never below zero."""

    async def main() -> None:
        limiter = AsyncLimiter(10, 5)
        assert limiter._rate_per_sec == 2
        limiter._leak()
        limiter._level += 14
        assert not limiter.has_capacity(1)
        await asyncio.sleep(3)
        limiter._leak()
        assert limiter._level == 8
        assert limiter.has_capacity(2)
        assert not limiter.has_capacity(2.5)
        await asyncio.sleep(60)
        limiter._leak()
        assert limiter._level == 0

    run_virtual(main())


def test_the_rate_can_be_changed_between_leaks() -> None:
    """_rate_per_sec and max_rate are read anew by every _leak and has_capacity."""

    async def main() -> None:
        limiter = AsyncLimiter(10, 5)
        limiter._leak()
        limiter._level = 10
        limiter._rate_per_sec = 5
        limiter.max_rate = 12
        await asyncio.sleep(1)
        assert limiter.has_capacity(7)
        assert not limiter.has_capacity(7.1)

    run_virtual(main())


def test_a_bucket_leaks_as_the_limiter_does() -> None:
    """To the last bit, over ten thousand steps of any length."""

    class Clock:
        now = 0.0

        def is_closed(self) -> bool:
            return False

        def time(self) -> float:
            return self.now

    rng, clock = random.Random(0), Clock()
    limiter, bucket = AsyncLimiter(10, 5), Bucket(Rate("requests", 120, 10))
    limiter._event_loop = cast("asyncio.AbstractEventLoop", clock)
    for _ in range(10_000):
        clock.now += rng.expovariate(0.5)
        limiter._leak()
        bucket._leak(clock.now)
        assert bucket._limiter._level == limiter._level
        amount = rng.uniform(0, 4)
        limiter._level += amount
        bucket._limiter._level += amount
