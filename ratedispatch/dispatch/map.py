"""
The outcomes of many requests, as they come.

Decides how far to read ahead, and that a request gets a task only with its first permit. Knows
nothing of how a request is counted or attempted.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.dispatch.prefetch import Stock
from ratedispatch.errors import Stopped
from ratedispatch.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from ratedispatch.dispatch.inflight import Life
    from ratedispatch.dispatch.route import Lane, Lanes
    from ratedispatch.outcome import Outcome
    from ratedispatch.request import Request

#: With several lines, requests that may have been read and wait for their turn, so that a line
#: which pauses does not keep the others from being fed; and their tokens, for the memory they take.
_READ_AHEAD = 20_000
_READ_AHEAD_TOKENS = 16_000_000


#: Outcomes of requests that cannot go, and so belong to no lane, that may wait to be taken.
_MOST_FAILED = 256


class _Ended(NamedTuple):
    """An outcome, and where there is room for another one when it has been taken."""

    outcome: Outcome
    room: asyncio.Semaphore


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
        # of this stream alone: what its reader leaves behind must keep no other one waiting
        self._rooms: dict[Lane, asyncio.Semaphore] = {}
        self._room_of_failed = asyncio.Semaphore(_MOST_FAILED)
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
        ended.room.release()
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
        source: AsyncIterator[Request] | None = None
        at_hand: Iterator[Request] = iter(())  # need not be waited for
        if isinstance(requests, AsyncIterable):
            source = aiter(requests)
        else:
            at_hand = iter(requests)
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            stock: Stock[Life] | None = None
            if not self._lanes.is_one:
                stock = Stock(_READ_AHEAD, _READ_AHEAD_TOKENS)
            served: set[Lane] = set()
            while True:
                try:
                    if source is not None:
                        request = await self._read(source)
                    elif self._is_stopped():
                        break
                    else:
                        request = next(at_hand)
                except (StopIteration, StopAsyncIteration):
                    break
                except Exception as error:  # what it yielded before is finished first
                    failure = error
                    break
                try:
                    if stock is None:
                        room = self._room_in(self._lanes.of(""))
                        await room.acquire()
                    life = await self._prepare(request)
                    if isinstance(life, Failed):
                        if stock is not None:
                            room = self._room_of_failed
                            await room.acquire()
                        self._outcomes.put_nowait(_Ended(life, room))
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

    def _room_in(self, lane: Lane) -> asyncio.Semaphore:
        if lane not in self._rooms:
            self._rooms[lane] = asyncio.Semaphore(lane.most_open)
        return self._rooms[lane]

    async def _serve(self, lane: Lane, stock: Stock[Life], group: asyncio.TaskGroup) -> None:
        """Start the requests of one lane in their order."""
        try:
            async for life in stock.take(lane.name):
                await self._room_in(lane).acquire()
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
            self._room_in(life.lane).release()
            return
        self._outcomes.put_nowait(_Ended(outcome, self._room_in(life.lane)))

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
