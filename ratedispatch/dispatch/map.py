"""
Yields the outcomes of many requests as they come.

Decides how far to read ahead, and creates a task for a request only with its first permit. Knows
nothing of how a request is counted or attempted.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.dispatch.in_order import InOrder
from ratedispatch.dispatch.permits import acquire
from ratedispatch.dispatch.prefetch import PrefetchBuffer
from ratedispatch.errors import CostExceedsLimit, Stopped
from ratedispatch.outcome import Failed
from ratedispatch.pacing.turn import FIRST_COME
from ratedispatch.request import checked_request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator

    from ratedispatch.dispatch.inflight import InFlight
    from ratedispatch.dispatch.route import Route
    from ratedispatch.dispatch.runner import Runner
    from ratedispatch.outcome import Outcome
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Request

#: With several routes, requests that may have been read and wait for their turn, so that a route
#: which pauses does not keep the others from being fed; and their tokens, for the memory they take.
_READ_AHEAD = 20_000
_READ_AHEAD_TOKENS = 16_000_000

#: Outcomes of requests that cannot go, and so belong to no route, that may wait to be taken.
_MOST_FAILED = 256


class _Ended(NamedTuple):
    """
    The outcome of a request.

    Args:
        outcome: None if it was left unanswered.
        room: To be released when the outcome has been taken.
        place: Its place among the requests.
    """

    outcome: Outcome | None
    room: asyncio.Semaphore | None
    place: int


async def outcomes_of(
    requests: Iterable[Request] | AsyncIterable[Request],
    runner: Runner,
    begin: Callable[[], None],
    *,
    ordered: bool = False,
    turn: Turn = FIRST_COME,
) -> AsyncGenerator[Outcome, None]:
    """
    Yield the outcomes of *requests*, run by *runner*; see `Dispatcher.map`.

    As they come, or *ordered* as the requests are. *begin* is called in the event loop before
    anything is read.

    Raises:
        Stopped: Nothing more is sent, or not to some models.
        Exception: What *requests* raises.
    """
    begin()
    mapping = Map(requests, runner, ordered=ordered, turn=turn)
    forget = runner.stopping.on_stop(mapping.stop)
    try:
        async for outcome in mapping:
            yield outcome
        runner.stopping.check()
        if mapping.skipped is not None:
            raise mapping.skipped
    finally:
        forget()
        await mapping.close()


class Map:
    """
    An asynchronous iterator of outcomes. To be closed by its maker.

    Args:
        requests: Read no further ahead than what may be open at once, so it may be endless.
        runner: Prepares the requests and runs them.
        ordered: Whether outcomes come in the order of the requests. Those that are ready wait for
            the ones before them, and keep their room meanwhile: so no more of them wait than
            requests may be open, and the oldest one always has its room already.
        turn: Their claim on a place in the queue.

    Attributes:
        skipped: Why requests of some routes were not sent; None if all were.
    """

    def __init__(
        self,
        requests: Iterable[Request] | AsyncIterable[Request],
        runner: Runner,
        *,
        ordered: bool = False,
        turn: Turn = FIRST_COME,
    ) -> None:
        self._turn = turn
        self._places = itertools.count()
        self._in_order: InOrder[_Ended] | None = InOrder() if ordered else None
        self._requests = requests
        self._runner = runner
        self.skipped: Stopped | None = None
        # of this map alone: what its reader leaves behind must keep no other one waiting
        self._rooms: dict[Route, asyncio.Semaphore] = {}
        self._room_of_failed = asyncio.Semaphore(_MOST_FAILED)
        self._outcomes: asyncio.Queue[_Ended | None] = asyncio.Queue()
        self._reader: asyncio.Task[Any] | None = None  # while it waits for the next request
        self._feeder = asyncio.create_task(self._feed())
        self._feeder.add_done_callback(lambda _: self._outcomes.put_nowait(None))

    def __aiter__(self) -> Map:
        return self

    async def __anext__(self) -> Outcome:
        order = self._in_order
        ended = None if order is None else order.pop()
        while ended is None or ended.outcome is None:
            ended = await self._outcomes.get()
            if ended is None:
                # after a stop, requests that had been read may be missing
                ended = None if order is None else order.pop_any()
                if ended is None:
                    await self._feeder  # raises what the source raised
                    raise StopAsyncIteration
                self._outcomes.put_nowait(None)
            elif order is not None:
                order.add(ended.place, None if ended.outcome is None else ended)
                ended = order.pop()
        if ended.room is not None:
            ended.room.release()
        return ended.outcome

    def stop(self) -> None:
        """Wait no longer for a source that has nothing to say."""
        # a source that stops everything itself is not waited for
        if self._reader is not None and self._reader is not running_task():
            self._reader.cancel()

    async def close(self) -> None:
        """Cancel what is in flight, and wait for its end."""
        self._feeder.cancel()
        await asyncio.gather(self._feeder, return_exceptions=True)

    async def _feed(self) -> None:
        """Read requests and hand each to its route; raise at the end what the source raised."""
        source = _Source(self._requests, self)
        async with asyncio.TaskGroup() as group:
            only = self._runner.routes.only
            if only is not None:
                await self._feed_one(only, source, group)
            else:
                with self._runner.feeders:
                    await self._feed_many(source, group)
        if source.failure is not None:
            raise source.failure

    async def _feed_one(self, route: Route, source: _Source, group: asyncio.TaskGroup) -> None:
        """Start the requests of the only route as they are read."""
        room = self._room_on(route)
        with self._runner.feeders:
            async for request in source:
                await room.acquire()
                place = next(self._places)
                try:
                    call = await self._runner.prepare(request, self._turn)
                    if isinstance(call, Failed):
                        self._outcomes.put_nowait(_Ended(call, room, place))
                    else:
                        call.place = place
                        await self._start(call, group)
                except Stopped as stopped:
                    self._skip(request, place, stopped)
                    return

    async def _feed_many(self, source: _Source, group: asyncio.TaskGroup) -> None:
        """Buffer the requests for their routes, each of which is served by a task."""
        buffer: PrefetchBuffer[InFlight] = PrefetchBuffer(_READ_AHEAD, _READ_AHEAD_TOKENS)
        served: set[Route] = set()
        async for request in source:
            place = next(self._places)
            try:
                call = await self._runner.prepare(request, self._turn)
            except Stopped as stopped:
                if self._skip(request, place, stopped):
                    continue
                break
            if isinstance(call, Failed):
                await self._room_of_failed.acquire()
                self._outcomes.put_nowait(_Ended(call, self._room_of_failed, place))
                continue
            call.place = place
            route = call.route
            await buffer.put(route.name, call, call.cost.tokens)
            if route not in served:
                served.add(route)
                group.create_task(self._serve(route, buffer, group))
        buffer.close()

    async def _serve(
        self, route: Route, buffer: PrefetchBuffer[InFlight], group: asyncio.TaskGroup
    ) -> None:
        """Start the requests of one route in their order."""
        room = self._room_on(route)
        with self._runner.feeders:
            async for call in buffer.take(route.name):
                await room.acquire()
                try:
                    await self._start(call, group)
                except Stopped as stopped:
                    room.release()
                    if not self._skip(call.request, call.place, stopped):
                        buffer.close()
                        return

    async def _start(self, call: InFlight, group: asyncio.TaskGroup) -> None:
        """Get a request its first permit, and only then give it a task."""
        try:
            permit = await acquire(call.route.admission, call.cost, call.rank, call.turn)
        except CostExceedsLimit as error:  # the member of the pool that could take it has stopped
            failed = self._runner.unsendable(call, error)
            self._outcomes.put_nowait(_Ended(failed, self._room_on(call.route), call.place))
            return
        task = group.create_task(self._finish(call, permit))
        # a task that is cancelled before its first step never closes its permit
        task.add_done_callback(permit.cancel)

    async def _finish(self, call: InFlight, permit: Permit) -> None:
        room = self._room_on(call.route)
        try:
            outcome = await self._runner.run(call, permit, is_mapped=True)
        except BaseException as error:
            room.release()
            if not isinstance(error, Stopped):
                raise
            # unanswered, to be resumed; map raises the reason once
            self._skip(call.request, call.place, error, call.attempts)
            return
        self._outcomes.put_nowait(_Ended(outcome, room, call.place))

    def _skip(self, request: Request, place: int, stopped: Stopped, attempts: int = 0) -> bool:
        """Skip *request*, whose route has *stopped*; return whether other routes continue."""
        self._runner.skip(request, attempts)
        if self._in_order is not None:
            self._outcomes.put_nowait(_Ended(None, None, place))
        if self._runner.stopping.reason is not None:
            return False
        if self.skipped is None:
            self.skipped = stopped
        return True

    def _room_on(self, route: Route) -> asyncio.Semaphore:
        room = self._rooms.get(route)
        if room is None:
            room = self._rooms[route] = asyncio.Semaphore(route.most_open)
        return room

    async def next_request(self, source: AsyncIterator[Request]) -> Request:
        """
        Return the next request of *source*; a stop ends the wait for one that has nothing to say.

        Raises:
            StopAsyncIteration: There is none, or nothing more is sent.
        """
        if self._runner.stopping.reason is not None:
            raise StopAsyncIteration
        task = self._reader = asyncio.current_task()
        assert task is not None
        try:
            return await anext(source)
        except asyncio.CancelledError:
            if not self.has_stopped() or task.uncancel() > 0:
                raise
            raise StopAsyncIteration from None
        finally:
            self._reader = None

    def has_stopped(self) -> bool:
        """Whether nothing more is sent."""
        return self._runner.stopping.reason is not None


class _Source:
    """
    What a map reads from: plain or asynchronous, until it ends, fails or is stopped.

    Attributes:
        failure: What it raised; what it yielded before is finished first.
    """

    def __init__(self, requests: Iterable[Request] | AsyncIterable[Request], reader: Map) -> None:
        self._reader = reader
        self._slow: AsyncIterator[Request] | None = None
        self._at_hand: Iterator[Request] = iter(())  # need not be waited for
        if isinstance(requests, AsyncIterable):
            self._slow = aiter(requests)
        else:
            self._at_hand = iter(requests)
        self.failure: Exception | None = None

    def __aiter__(self) -> _Source:
        return self

    async def __anext__(self) -> Request:
        try:
            if self._slow is not None:
                return checked_request(await self._reader.next_request(self._slow))
            if not self._reader.has_stopped():
                return checked_request(next(self._at_hand))
        except (StopIteration, StopAsyncIteration):
            pass
        except Exception as error:
            self.failure = error
        raise StopAsyncIteration


def running_task() -> asyncio.Task[Any] | None:
    """The task that runs; None outside of the loop, as in a signal handler."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
