"""
The outcomes of many requests, as they come.

Decides how far to read ahead, and that a request gets a task only with its first permit. Knows
nothing of how a request is counted or attempted.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.errors import Stopped
from ratedispatch.outcome import Failed
from ratedispatch.stock import Stock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from ratedispatch.lane import Lane, Lanes
    from ratedispatch.life import Life
    from ratedispatch.outcome import Outcome
    from ratedispatch.request import Request

#: With several lines, requests that may have been read and wait for their turn, so that a line
#: which pauses does not keep the others from being fed; and their tokens, for the memory they take.
_READ_AHEAD = 20_000
_READ_AHEAD_TOKENS = 16_000_000


class _Ended(NamedTuple):
    """An outcome, and the lane in which its request was open."""

    outcome: Outcome
    lane: Lane | None


class Stream:
    """
    An asynchronous iterator of outcomes. To be closed by whoever made it.

    Args:
        requests: Read no further ahead than what may be open at once, so it may be endless.
        lanes: Where requests wait for their permits.
        prepare: Counts a request; or says why it cannot go.
        live: Attempts one until it has an outcome.
        is_stopped: Whether nothing more is to be sent.
    """

    def __init__(
        self,
        requests: Iterable[Request] | AsyncIterable[Request],
        lanes: Lanes,
        prepare: Callable[[Request], Awaitable[Life | Failed]],
        live: Callable[[Life], Awaitable[Outcome]],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._requests = requests
        self._lanes = lanes
        self._prepare = prepare
        self._live = live
        self._is_stopped = is_stopped
        self._outcomes: asyncio.Queue[_Ended | None] = asyncio.Queue()
        self._reader: asyncio.Task[Any] | None = None  # while it waits for the next request
        self._feeder = asyncio.create_task(self._feed())
        self._feeder.add_done_callback(lambda _: self._outcomes.put_nowait(None))

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Outcome:
        ended = await self._outcomes.get()
        if ended is None:
            await self._feeder  # raises what the source raised
            raise StopAsyncIteration
        if ended.lane is not None:
            ended.lane.room.release()
        return ended.outcome

    def stop(self) -> None:
        """Wait no longer for a source that has nothing to say."""
        # a source that stops everything itself is not waited for
        if self._reader is not None and self._reader is not _current_task():
            self._reader.cancel()

    async def close(self) -> None:
        """Cancel what is in flight, and wait for its end."""
        self._feeder.cancel()
        await asyncio.gather(self._feeder, return_exceptions=True)

    async def _feed(self) -> None:
        """Read requests and hand each to its lane."""
        requests = self._requests
        # one that is there need not be waited for, nor for its next request
        source = aiter(requests) if isinstance(requests, AsyncIterable) else iter(requests)
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            stock: Stock[Life] | None = None
            if not self._lanes.is_one:
                stock = Stock(_READ_AHEAD, _READ_AHEAD_TOKENS)
            served: set[Lane] = set()
            while True:
                try:
                    if not isinstance(source, Iterator):
                        request = await self._read(source)
                    elif self._is_stopped():
                        break
                    else:
                        request = next(source)
                except (StopIteration, StopAsyncIteration):
                    break
                except Exception as error:  # what it yielded before is finished first
                    failure = error
                    break
                try:
                    if stock is None:
                        lane = self._lanes.of("")
                        await lane.room.acquire()
                    life = await self._prepare(request)
                    if isinstance(life, Failed):
                        if stock is None:
                            lane.room.release()
                        self._outcomes.put_nowait(_Ended(life, None))
                    elif stock is None:
                        await self._start(life, group)
                    else:
                        await stock.put(life.lane.name, life, life.cost.tokens)
                        if life.lane not in served:
                            served.add(life.lane)
                            group.create_task(self._serve(life.lane, stock, group))
                except Stopped:
                    break
            if stock is not None:
                stock.close()
        if failure is not None:
            raise failure

    async def _serve(self, lane: Lane, stock: Stock[Life], group: asyncio.TaskGroup) -> None:
        """Start the requests of one lane in their order."""
        try:
            async for life in stock.take(lane.name):
                await lane.room.acquire()
                await self._start(life, group)
        except Stopped:
            stock.close()

    async def _start(self, life: Life, group: asyncio.TaskGroup) -> None:
        """Get a request its first permit, and only then give it a task."""
        life.permit = await life.lane.budget.acquire(life.cost, life.place)
        life.is_mapped = True
        life.task = group.create_task(self._finish(life))
        life.task.add_done_callback(functools.partial(_return_permit, life))

    async def _finish(self, life: Life) -> None:
        try:
            outcome = await self._live(life)
        except Stopped:  # unanswered, to be resumed; the reason is raised once, by map
            life.lane.room.release()
            return
        self._outcomes.put_nowait(_Ended(outcome, life.lane))

    async def _read(self, source: AsyncIterator[Request]) -> Request:
        """The next request; a stop ends the wait for a source that has nothing to say."""
        if self._is_stopped():
            raise StopAsyncIteration
        task = self._reader = asyncio.current_task()
        assert task is not None
        try:
            return await anext(source)
        except asyncio.CancelledError:
            if not self._is_stopped() or task.uncancel() > 0:
                raise
            raise StopAsyncIteration from None
        finally:
            self._reader = None


def _return_permit(life: Life, _: object) -> None:
    """Give back what was paid for a task that was cancelled before its first step."""
    if life.permit is not None:
        life.lane.budget.cancel(life.permit)
        life.permit = None


def _current_task() -> asyncio.Task[Any] | None:
    """The task that runs; None outside of the loop, as in a signal handler."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
