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
from ratedispatch.outcome import Response
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.pacing.shared.shared_budget import SharedBudget
from ratedispatch.sharing.file_store import FileStore
from ratedispatch.sharing.redis_store import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds of an answer of `AtOnce`.
_LATENCY = 0.02

#: Seconds in which a process finds its pace, before anything is counted.
_WARM = 1.0

_MODEL = "gpt-4o"
_ANSWER = Response(
    200,
    {},
    {
        "choices": [{"message": {"role": "assistant", "content": "tea"}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22},
    },
)


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
    """Requests that were sent, and the seconds of processor time meanwhile."""

    requests: int
    seconds: float


class Sending(NamedTuple):
    """When a request was sent, by the clock of the machine, and its tokens."""

    at: float
    tokens: int


class AtOnce:
    """A transport in the process: what sending costs is not to be measured."""

    async def send(self, request: Request, timeout: float) -> Response:
        """Answer *request*."""
        del request, timeout
        await asyncio.sleep(_LATENCY)
        return _ANSWER


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


def rehearse(seconds: float) -> None:
    """Load what is needed, and let others do so meanwhile."""
    spend(Place("none"), 1e6, 0.0, seconds)


def spend(place: Place, rpm: float, begin: float, seconds: float) -> Spent:
    """
    Send as much as there is for *seconds* from the instant *begin* on; return what it cost.

    Args:
        place: Where the limits are shared.
        rpm: Requests per minute of all, or of this process where nothing is shared.
        begin: Loop time, which is the same for all processes of the machine.
        seconds: That count, after those in which the process finds its pace.
    """

    async def main() -> Spent:
        limits = Limits(rpm, 100_000_000)
        sent = 0

        def hear(event: object) -> None:
            nonlocal sent
            sent += isinstance(event, AttemptSent)

        dispatcher = Dispatcher(
            AtOnce(),
            limits,
            budget=place.budget(limits),
            listeners=[hear],
            max_in_flight=1_000,
        )
        await asyncio.sleep(begin - asyncio.get_running_loop().time())
        task = asyncio.create_task(_send(dispatcher, _requests(itertools.repeat(20))))
        await asyncio.sleep(_WARM)
        first, started = sent, time.process_time()
        await asyncio.sleep(seconds)
        spent = Spent(sent - first, time.process_time() - started)
        await _stop(task)
        return spent

    return asyncio.run(main())


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
            await dispatcher.warm_up()  # what the first connection loads is not a wait in the line
            await asyncio.sleep(begin - asyncio.get_running_loop().time())
            task = asyncio.create_task(_send(dispatcher, _requests(sizes)))
            await asyncio.sleep(seconds)
            await _stop(task)
        return found

    return asyncio.run(main())
