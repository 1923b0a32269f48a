"""Whatever becomes of calls, nothing is left in the queue and no permit stays open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import threading
import time
from typing import Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.testing import run_virtual
from tests.dispatch.wrap.test_streams import CHUNKS, WITH_USAGE, Parts, sse
from tests.dispatch.wrap.upstream import (
    ANSWER,
    ASK,
    BROKEN,
    QUOTA,
    RATE,
    Upstream,
    async_client,
    gate,
    sync_client,
)

ENDS: tuple[Any, ...] = (
    (429, RATE),
    (429, RATE, {"retry-after": "1"}),
    (429, QUOTA),
    (500, {"error": {"message": "oh"}}),
    (503, {"error": {"message": "busy"}}),
    (200, {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}),
    BROKEN,
)


class Odd(Upstream):
    """Answers one call in three with something else than an answer; streams where asked to."""

    def __init__(self, seed: int) -> None:
        super().__init__(seconds=0.1)
        self._rng = random.Random(seed)

    def _next(self, request: Any) -> Any:
        rng = self._rng
        if rng.random() < 1 / 3:
            self._script = [rng.choice(ENDS)]
        elif b'"stream":true' in request.content.replace(b" ", b""):
            events = rng.choice([CHUNKS, WITH_USAGE])
            self._script = [(200, Parts(sse(events), breaks=rng.random() < 0.2))]
        else:
            self._script = [(200, ANSWER)]
        return super()._next(request)


def empty(paces: rd.Gate) -> bool:
    state = paces.snapshot()
    return (state.in_flight, state.waiting) == (0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_left_behind_in_a_loop(seed: int) -> None:
    """Two hundred calls: cancelled, timed out in the queue, refused, broken, streamed to an end."""
    rng = random.Random(seed)

    async def call(client: openai.AsyncOpenAI) -> None:
        await asyncio.sleep(rng.uniform(0, 5))
        asked = rd.options(priority=rng.choice([0, 0, 1]), max_wait=rng.choice([None, 0.5, 9]))
        with contextlib.suppress(openai.OpenAIError, TimeoutError), asked:
            async with asyncio.timeout(rng.choice([None, 0.05, 0.5, 5])):
                await used(client)

    async def used(client: openai.AsyncOpenAI) -> None:
        if rng.random() < 0.5:
            await client.chat.completions.create(**ASK)
            return
        async with await client.chat.completions.create(**ASK, stream=True) as stream:
            async for _ in stream:
                if rng.random() < 0.2:
                    break

    async def main() -> bool:
        paces = gate(rd.Limits(1_200, 90_000), max_in_flight=30)
        client = rd.wrap(async_client(Odd(seed), max_retries=2), paces)
        tasks = [asyncio.create_task(call(client)) for _ in range(200)]
        await asyncio.sleep(2)
        for task in rng.sample(tasks, 20):
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        odd = [one for one in found if isinstance(one, Exception)]
        # what httpx raises in the middle of a stream is the caller's, as without a gate
        assert {type(one).__name__ for one in odd} <= {"ReadError"}
        return empty(paces)

    assert run_virtual(main())


def test_nothing_is_left_behind_in_threads() -> None:
    """Streams are dropped in the middle, and never closed."""
    paces = rd.Gate(rd.Limits(requests_per_minute=6e6, tokens_per_minute=6e9))
    retry = {"max_retries": 0}

    def work(seed: int) -> None:
        rng = random.Random(seed)
        client = rd.wrap(sync_client(Odd(seed), **retry), paces, max_wait=0.05)
        for _ in range(20):
            with contextlib.suppress(Exception):
                if rng.random() < 0.5:
                    client.chat.completions.create(**ASK)
                    continue
                for _ in client.chat.completions.create(**ASK, stream=True):
                    if rng.random() < 0.3:
                        break

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    gc.collect()
    until = time.perf_counter() + 5
    while not empty(paces) and time.perf_counter() < until:
        time.sleep(0.005)
    assert empty(paces)
