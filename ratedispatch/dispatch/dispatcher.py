"""
Sends requests at the limits of an account and gives every one of them an outcome.

The front of the dispatch room: `Dispatcher` joins transport, provider, routes and listeners, and
is what a program uses.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import random
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.answer_stream import stream_of
from ratedispatch.dispatch.display.wish import with_bar_if_wished
from ratedispatch.dispatch.in_time import instant_of
from ratedispatch.dispatch.listeners import Listeners
from ratedispatch.dispatch.map import outcomes_of
from ratedispatch.dispatch.options import DispatcherOptions, changed
from ratedispatch.dispatch.permits import PermitScope
from ratedispatch.dispatch.pool_factory import factory_for
from ratedispatch.dispatch.runner import Runner
from ratedispatch.dispatch.warming import warm_up
from ratedispatch.groups import LimitGroups
from ratedispatch.outcome import Failed
from ratedispatch.pacing.bottleneck import CpuMeter, bottleneck_of, unknown_of
from ratedispatch.pacing.turn import FIRST_COME, turn_of
from ratedispatch.request import Cost, checked_request
from ratedispatch.tokens.estimator import Estimator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
    from types import TracebackType

    from ratedispatch.dispatch.answer_stream import AnswerStream
    from ratedispatch.dispatch.pool import Pool
    from ratedispatch.dispatch.transports import Client
    from ratedispatch.events import Listener
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Outcome
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.budget import Budget
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.request import Request


class Dispatcher:
    """
    Sends requests at the limits of an account and gives every one of them an outcome.

    Use it as an async context manager, in one event loop.

    Args:
        client: An ``openai.AsyncOpenAI`` (its own retries are switched off for what goes
            through here), any :class:`~ratedispatch.Transport`, or a
            :class:`~ratedispatch.Pool` of them.
        limits: What the account may spend, or what groups of models may. None for a pool, whose
            members have limits of their own.
        listeners: Called with every :data:`~ratedispatch.events.Event`. One that raises is
            logged once, and changes nothing.
        budget: A budget to use instead of one of its own; several dispatchers may share it.
        options: How to send.
        changes: Fields of :class:`~ratedispatch.DispatcherOptions` by name, instead of *options*
            or beside them.

    Raises:
        TypeError: *client* is neither a client nor a transport, *limits* are none (or given
            beside a pool), or there is no such option.
        ValueError: An option is out of its range, or the limits cannot be shared as it says.
    """

    def __init__(
        self,
        client: Client | Pool,
        limits: Limits | LimitGroups | None = None,
        *,
        listeners: Sequence[Listener] = (),
        budget: Budget | None = None,
        options: DispatcherOptions | None = None,
        **changes: Any,
    ) -> None:
        options = changed(options or DispatcherOptions(), changes)
        rng = options.rng or random.Random()
        self._listeners = Listeners(listeners)
        factory = factory_for(client, limits, options, rng=rng, budget=budget)
        self._transports, self._slots = factory.transports, factory.slots
        self._recollection, self._shared = factory.recollection, factory.shared
        self.estimator = Estimator(
            options.policy or factory.provider.charge,
            counter=options.counter,
            default_output_tokens=options.default_output_tokens,
            in_thread=asyncio.to_thread,
        )
        """Counts requests, and learns from their answers; what else counts may share it."""
        name_of = limits.group_of if isinstance(limits, LimitGroups) else None
        self._runner = Runner(factory, name_of, self.estimator, self._listeners, options, rng=rng)
        self._recollection.share(self.estimator.calibration)
        self._cpu = CpuMeter(options.cpu_clock)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Dispatcher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Send nothing more. What is in flight belongs to the callers that await it."""
        self.stop("closed", "the dispatcher was closed")
        self._recollection.stop()
        self._shared.close(asyncio.get_running_loop().time())

    async def warm_up(self, *models: str, connections: int = 1) -> None:
        """
        Do before the first request what it would have to wait for.

        Loads what counting requests of *models* needs, and opens *connections* to the server: a
        client of the SDK sends a ``HEAD`` of its base URL over each, without a key. Idle
        connections are closed after 4 or 5 seconds, so call it when requests are near. A server
        that is not reached raises nothing here: the first request tells that.

        Args:
            models: Those whose requests will come.
            connections: How many requests will come at once.

        Raises:
            ValueError: *connections* is negative.
            InvalidLimits: A model belongs to no group, and there are no limits for others.
            RuntimeError: It is called in another event loop than before.
        """
        self._stay_in_loop()
        await warm_up(self._transports, self.estimator, self._runner.routes, models, connections)

    async def submit(
        self,
        request: Request,
        *,
        priority: int = 0,
        caller: str = "",
        deadline: float | None = None,
        session: str | None = None,
    ) -> Outcome:
        """
        Send *request* when it is its turn and return its outcome.

        Requests of one caller go in the order in which this is called. A request that cannot be
        answered returns :class:`~ratedispatch.Failed`; it does not raise.

        Args:
            request: What to send.
            priority: Higher goes first, whatever waits below.
            caller: For whom it is sent: callers of one priority share what there is, in tokens,
                by the *weights* of the options.
            deadline: Seconds from now within which it is to be sent, and every further attempt
                too. If that is impossible by what the queue knows, it fails at once, otherwise
                when they are over, with the code ``deadline_missed``. What was sent by then is
                waited for.
            session: What it belongs to, where a pool keeps what belongs together in one place.

        Raises:
            Stopped: Nothing more is sent (see :meth:`stop`), and this request was not answered.
            RuntimeError: It is called in another event loop than before.
            TypeError: *request* is no request, *priority* no whole number, or *caller* no string.
        """
        runner = self._runner
        if self._loop is not asyncio.get_running_loop():
            self._stay_in_loop()
        if runner.stopping.reason is not None:
            raise runner.stopping.reason()
        turn = FIRST_COME
        if priority or caller or deadline is not None or session is not None:
            turn = turn_of(priority, caller, instant_of(deadline), session)
        call = await runner.prepare(checked_request(request), turn)
        return call if isinstance(call, Failed) else await runner.run(call)

    def map(
        self,
        requests: Iterable[Request] | AsyncIterable[Request],
        *,
        ordered: bool = False,
        priority: int = 0,
        caller: str = "",
        progress: bool | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """
        Send all *requests* in their order and yield their outcomes as they come.

        *requests* is read no further ahead than what may be open at once, so it may be endless,
        and there is never a task for a request that only waits. Leaving the loop early cancels
        what is in flight.

        Args:
            requests: What to send.
            ordered: Yield the outcomes in the order of the requests. Those that are ready wait
                for the ones before them; they count as open, so that one request that takes long
                holds up the reading of further ones once that many have ended behind it.
            priority: As in :meth:`submit`, of all of them.
            caller: As in :meth:`submit`, of all of them.
            progress: Show a bar; by default in a notebook only.

        Raises:
            Stopped: Nothing more is sent, or not to some models; raised after the outcomes of all
                others.
            TypeError: *requests* yields something else than requests; raised as its errors are.
            Exception: What *requests* raises, after the outcomes of what it yielded before.
        """
        turn = turn_of(priority, caller)
        runner, begin = self._runner, self._stay_in_loop
        outcomes = outcomes_of(requests, runner, begin, ordered=ordered, turn=turn)
        return with_bar_if_wished(outcomes, requests, progress, lambda: self.bottleneck().binding)

    def stream(
        self,
        request: Request,
        *,
        priority: int = 0,
        caller: str = "",
        deadline: float | None = None,
        session: str | None = None,
    ) -> AnswerStream:
        """
        Send *request* when it is its turn and yield the events of its answer as they come.

        The events are the SDK's objects where the client is one of the SDK. What fails before the
        first event is tried again as by :meth:`submit`, and nothing after it. Whoever leaves the
        loop closes the connection. The permit is closed at the end, with the usage if an event
        holds it: for chats ask for it, with ``stream_options={"include_usage": True}``.

        ``async for event in dispatcher.stream(request)``; or ``async with
        dispatcher.stream(request) as events``, which closes it at the end of its block.

        Args:
            request: What to send.
            priority: As in :meth:`submit`.
            caller: As in :meth:`submit`.
            deadline: As in :meth:`submit`.
            session: As in :meth:`submit`.

        Raises:
            InvalidRequest: There are no events of such a request.
            TypeError: *request* is no request, or the transport gives answers only whole.
            RequestFailed: Raised by the loop: the request failed, or its answer broke off.
            Stopped: The same: nothing more is sent, and it was not answered.
        """
        turn = turn_of(priority, caller, instant_of(deadline), session)
        return stream_of(request, turn, self._transports, self._runner, self._stay_in_loop)

    def permit(
        self,
        cost: Cost,
        *,
        model: str = "",
        priority: int = 0,
        caller: str = "",
        deadline: float | None = None,
    ) -> PermitScope:
        """
        Pace something of your own: wait for a permit, and pay *cost* for it.

        ``async with dispatcher.permit(cost) as permit: ...`` closes the permit on every path. Call
        ``permit.report(feedback)`` inside to tell what the attempt used and what the provider
        said; without it the cost stays spent.

        Args:
            cost: What to pay in each dimension.
            model: Whose limits it falls under, where groups of models are limited apart.
            priority: As in :meth:`submit`.
            caller: As in :meth:`submit`.
            deadline: Seconds from now within which it is to be granted.

        Raises:
            TypeError: *cost* is no cost.
            CostExceedsLimit: It can never be paid.
            DeadlineMissed: It was not granted in time, or cannot be.
            InvalidLimits: The model belongs to no group, and there are no limits for others.
            Stopped: Nothing more is sent.
            RuntimeError: It is called in another event loop than before.
        """
        self._stay_in_loop()
        if not isinstance(cost, Cost):
            raise TypeError(
                f"expected a Cost, got {type(cost).__name__}; that of a request is given by "
                f"await dispatcher.estimator.estimate(request)"
            )
        self._runner.stopping.check()
        route = self._runner.routes.of(model)
        route.check(cost, lambda: "a permit")
        tell = functools.partial(self._runner.note, route)
        turn = turn_of(priority, caller, instant_of(deadline))
        return PermitScope(route.admission, cost, next(self._runner.ranks), tell, turn)

    def stop(self, code: str, message: str) -> None:
        """
        Send nothing more. What is in flight is still waited for by its callers.

        Everything else that was submitted raises :class:`Stopped` with *code* and *message*.
        Only the first stop counts.
        """
        self._runner.stop(code, message)

    def abandon(self) -> None:
        """
        After a :meth:`stop`: wait no longer for what is in flight either.

        Its requests raise :class:`Stopped` too; they may have been answered, and billed.
        """
        if self._runner.stopping.reason is None:
            raise RuntimeError("abandon() comes after stop()")
        self._runner.abandon()

    @property
    def listener_errors(self) -> int:
        """Exceptions that listeners have raised so far."""
        return self._listeners.errors

    def snapshot(self) -> Snapshot:
        """Return the state of the queue, or of all queues together, and their buckets."""
        state = self._runner.routes.snapshot()
        if self._slots is None:
            return state
        return dataclasses.replace(state, max_in_flight=min(state.max_in_flight, self._slots.most))

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the state of each group of models, or of each member of a pool, by its name."""
        return self._runner.routes.snapshots()

    def bottleneck(self) -> Bottleneck:
        """Return what holds the queue back (of several, the longest), in the last 15 seconds."""
        state = self._runner.routes.busiest()
        cpu = self._cpu.read(asyncio.get_running_loop().time())
        shares = {level.dimension: level.share for level in state.levels}
        return bottleneck_of(state.binding, shares, cpu, unknown_of(state.levels))

    def _stay_in_loop(self) -> None:
        """Remember the event loop; raise if it is another one than before."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._recollection.start(loop)
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this dispatcher sends in another event loop, whose connections and timers are of "
                "no use here; make one in each loop, and let them share a budget"
            )
