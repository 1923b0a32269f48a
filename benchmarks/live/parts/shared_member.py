"""
Processes that share a limit, each a program with a dispatcher of its own.

Decides what such a process sends and what it tells of it. They are called in processes of a pool,
so that what they import is there before they begin.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import openai

from ratedispatch import AttemptSent, Dispatcher, Limits, Request
from ratedispatch.dispatch.permits import LoopAlarm, acquire
from ratedispatch.outcome import Usage
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.pacing.shared.shared_budget import SharedBudget
from ratedispatch.pacing.turn import FIRST_COME
from ratedispatch.request import Cost
from ratedispatch.sharing.file_store import FileStore
from ratedispatch.sharing.redis_store import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Seconds from a grant to its report.
_LATENCY = 0.02

#: Seconds in which members find their pace, before anything is counted.
_WARM = 0.5

_MODEL = "gpt-4o"


class Place(NamedTuple):
    """
    Where limits are shared.

    Args:
        kind: ``none``, ``local`` or ``redis``.
        where: The path of the file, or the URL of the server.
        name: What the processes of one round have in common.
    """

    kind: str
    where: str = ""
    name: str = ""

    def budget(self, limits: Limits) -> LocalBudget:
        """Return what a process spends from."""
        if self.kind == "none":
            return LocalBudget(limits)
        if self.kind == "local":
            return SharedBudget(limits, FileStore(Path(self.where) / f"{self.name}.limits"))
        return SharedBudget(limits, RedisStore(self.where, self.name))


class Spent(NamedTuple):
    """Requests that were granted, and the seconds of processor time meanwhile."""

    requests: float
    seconds: float


class Sending(NamedTuple):
    """When a request was sent, by the clock of the machine, and its tokens."""

    at: float
    tokens: int


def _requests(words: Iterator[int]) -> Iterator[Request]:
    for count in words:
        messages = [{"role": "user", "content": "tea " * count}]
        yield Request.chat(model=_MODEL, messages=messages, max_tokens=20)


async def _send(dispatcher: Dispatcher, requests: Iterator[Request]) -> None:
    async with dispatcher:
        async for _ in dispatcher.map(requests):
            pass


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _draw(queue: Admission, cost: Cost) -> None:
    while True:
        permit = await acquire(queue, cost, 0, FIRST_COME)
        await asyncio.sleep(_LATENCY)
        permit.report(Feedback(End.ANSWERED, Usage(18, 2)))


async def _spend(places: Sequence[Place], rpm: float, seconds: float) -> Spent:
    limits, cost = Limits(rpm, 100_000_000), Cost(20, 20)
    budgets = [place.budget(limits) for place in places]
    queues = [
        Admission([Lane(one, FixedLimit(1_000), rng=random.Random(number))], LoopAlarm())
        for number, one in enumerate(budgets)
    ]
    for budget, queue in zip(budgets, queues, strict=True):
        if isinstance(budget, SharedBudget):
            budget.membership.on_reply = queue.look_again
    waiting = max(4, 32 // len(queues))
    tasks = [asyncio.create_task(_draw(queue, cost)) for queue in queues for _ in range(waiting)]
    await asyncio.sleep(_WARM)
    first, started = sum(one.granted()[0] for one in budgets), time.process_time()
    await asyncio.sleep(seconds)
    taken = time.process_time() - started
    spent = Spent(sum(one.granted()[0] for one in budgets) - first, taken)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for budget in budgets:
        if isinstance(budget, SharedBudget):
            budget.close(asyncio.get_running_loop().time())
    return spent


def spend(places: Sequence[Place], rpm: float, seconds: float) -> Spent:
    """
    Let as many members as there are *places* draw all there is for *seconds*; return what it cost.

    All of them are in this process, so that its processor time is that of nothing else: queues and
    budgets as a dispatcher has them, and no requests.

    Args:
        places: Where each shares.
        rpm: Requests per minute of all, or of each where nothing is shared.
        seconds: That count, after those in which the members find their pace.
    """
    return asyncio.run(_spend(places, rpm, seconds))


def rehearse(seconds: float) -> None:
    """Load what is needed, and let others do so meanwhile."""
    time.sleep(seconds)


def send_sizes(
    base_url: str, share: str, tpm: float, begin: float, seconds: float, seed: int
) -> list[Sending]:
    """Send rows of 50 to 4,000 tokens for *seconds*; return what was sent when."""
    rng = random.Random(f"sizes {seed}")

    async def main() -> list[Sending]:
        found: list[Sending] = []

        def hear(event: object) -> None:
            if isinstance(event, AttemptSent):
                found.append(Sending(event.at, event.cost.tokens))

        sizes = (rng.choice([30, 100, 300, 1_000, 3_960]) for _ in itertools.count())
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
            limits = Limits(1_000_000, tpm)
            dispatcher = Dispatcher(client, limits, share=share, listeners=[hear])
            await dispatcher.warm_up(_MODEL, connections=4)
            first = [{"role": "user", "content": "tea"}]
            # what the SDK loads for its first call is no wait in the line
            await client.chat.completions.create(model=_MODEL, messages=first, max_tokens=1)  # type: ignore[arg-type]
            await asyncio.sleep(begin - asyncio.get_running_loop().time())
            task = asyncio.create_task(_send(dispatcher, _requests(sizes)))
            await asyncio.sleep(seconds)
            await _stop(task)
        return found

    return asyncio.run(main())
