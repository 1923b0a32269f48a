"""
Sends requests at the limits of an account and gives every one of them an outcome.

The entrance of the room `dispatch`: `Dispatcher` connects transport, provider, routes and
listeners. Programs use it directly.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import random
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.answer_stream import stream_of
from ratedispatch.dispatch.display.optional_bar import with_optional_bar
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
        client: An ``openai.AsyncOpenAI`` (its own retries are switched off for requests that go
            through the dispatcher), any :class:`~ratedispatch.Transport`, or a
            :class:`~ratedispatch.Pool` of them.
        limits: The limits of the account or of groups of models. None for a pool, whose members
            have their own limits.
        listeners: Called with every :data:`~ratedispatch.events.Event`. A listener that raises is
            logged once and changes nothing.
        budget: A budget to use instead of a new one; several dispatchers may share it.
        options: How to send.
        changes: Fields of :class:`~ratedispatch.DispatcherOptions` by name, instead of *options*
            or in addition to them.

    Raises:
        TypeError: *client* is neither a client nor a transport, *limits* are missing (or given
            together with a pool), or there is no such option.
        ValueError: An option is out of range, or the limits cannot be shared as requested.
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
        """Counts requests and learns from their answers; other code may use it, too."""
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
        """Send nothing more. Requests in flight belong to the callers that await them."""
        self.stop("closed", "the dispatcher was closed")
        self._recollection.stop()
        self._shared.close(asyncio.get_running_loop().time())

    async def warm_up(self, *models: str, connections: int = 1) -> None:
        """
        Prepare for the first requests, so that they need not wait.

        Loads the vocabularies that *models* need, and opens *connections* to the server: a client
        of the SDK sends a ``HEAD`` request for its base URL over each, without a key. Idle
        connections are closed after 4 or 5 seconds, so call this just before requests come. An
        unreachable server raises nothing here; the first request reports it.

        Args:
            models: The models of the requests to come.
            connections: How many requests will come at once.

        Raises:
            ValueError: *connections* is negative.
            InvalidLimits: A model belongs to no group, and there are no limits for other models.
            RuntimeError: It was called in another event loop before.
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
        Send *request* when its turn comes, and return its outcome.

        Requests of one caller are sent in the order of the calls. A request that cannot be
        answered returns :class:`~ratedispatch.Failed`; it does not raise.

        Args:
            request: What to send.
            priority: Higher priorities go first, whatever waits with lower ones.
            caller: In whose name it is sent. Callers of the same priority share the limits, in
                tokens, by the *weights* of the options.
            deadline: Seconds from now within which it must be sent, and every further attempt as
                well. If the queue knows that this is impossible, the request fails at once;
                otherwise it fails when the deadline has passed. The code is ``deadline_missed``. An
                attempt that was sent in time is awaited.
            session: A name shared by requests that a pool should send to the same member.

        Raises:
            Stopped: Nothing more is sent (see :meth:`stop`), and this request was not answered.
            RuntimeError: It was called in another event loop before.
            TypeError: *request* is not a request, *priority* is not a whole number, or *caller* is
                not a string.
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
        Send all *requests* in order and yield their outcomes as they come.

        *requests* is read only as far as requests may be open at once, so it may be infinite, and
        a request that only waits has no task. Leaving the loop early cancels the requests in
        flight.

        Args:
            requests: What to send.
            ordered: Yield the outcomes in the order of the requests. Outcomes that are ready wait
                for the ones before them and count as open, so one slow request delays the reading
                of further ones once enough outcomes wait behind it.
            priority: As in :meth:`submit`, for all of them.
            caller: As in :meth:`submit`, for all of them.
            progress: Whether to show a progress bar; by default only in a notebook.

        Raises:
            Stopped: Nothing more is sent, at all or to some models; raised after all other
                outcomes.
            TypeError: *requests* yields something that is not a request; raised like its own
                errors.
            Exception: Whatever *requests* raises, after the outcomes of the requests before it.
        """
        turn = turn_of(priority, caller)
        runner, begin = self._runner, self._stay_in_loop
        outcomes = outcomes_of(requests, runner, begin, ordered=ordered, turn=turn)
        return with_optional_bar(outcomes, requests, progress, lambda: self.bottleneck().binding)

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
        Send *request* when its turn comes, and yield the events of its answer as they come.

        The events are the SDK's objects if the client is one of the SDK. A failure before the
        first event is retried as in :meth:`submit`; a later one is not. Leaving the loop closes
        the connection. The permit is closed at the end, with the usage if an event reports it:
        for chats, request it with ``stream_options={"include_usage": True}``.

        Use ``async for event in dispatcher.stream(request)``, or ``async with
        dispatcher.stream(request) as events``, which closes the stream at the end of the block.

        Args:
            request: What to send.
            priority: As in :meth:`submit`.
            caller: As in :meth:`submit`.
            deadline: As in :meth:`submit`.
            session: As in :meth:`submit`.

        Raises:
            InvalidRequest: Such a request cannot be streamed.
            TypeError: *request* is not a request, or the transport cannot stream.
            RequestFailed: Raised by the loop: the request failed, or its answer was cut off.
            Stopped: Raised by the loop: nothing more is sent, and it was not answered.
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
        Pace work of your own: wait for a permit, and pay *cost* for it.

        ``async with dispatcher.permit(cost) as permit: ...`` always closes the permit. Inside the
        block, call ``permit.report(feedback)`` to report what the attempt used and what the
        provider said; otherwise the cost stays spent.

        Args:
            cost: The amount to pay in each dimension.
            model: The model whose limits apply, if groups of models have separate limits.
            priority: As in :meth:`submit`.
            caller: As in :meth:`submit`.
            deadline: Seconds from now within which the permit must be granted.

        Raises:
            TypeError: *cost* is not a cost.
            CostExceedsLimit: It can never be paid.
            DeadlineMissed: The permit was not, or cannot be, granted in time.
            InvalidLimits: The model belongs to no group, and there are no limits for other models.
            Stopped: Nothing more is sent.
            RuntimeError: It was called in another event loop before.
        """
        self._stay_in_loop()
        if not isinstance(cost, Cost):
            raise TypeError(
                f"expected a Cost, got {type(cost).__name__}; get that of a request with "
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
        Send nothing more. Callers still get the outcomes of requests in flight.

        All other submitted requests raise :class:`Stopped` with *code* and *message*. Only the
        first stop counts.
        """
        self._runner.stop(code, message)

    def abandon(self) -> None:
        """
        After :meth:`stop`: give up the requests in flight as well.

        They raise :class:`Stopped`, too; they may have been answered and billed.
        """
        if self._runner.stopping.reason is None:
            raise RuntimeError("call stop() before abandon()")
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
        """Return the bottleneck of the last 15 seconds (that of the longest queue, if several)."""
        state = self._runner.routes.busiest()
        cpu = self._cpu.read(asyncio.get_running_loop().time())
        shares = {level.dimension: level.share for level in state.levels}
        return bottleneck_of(state.binding, shares, cpu, unknown_of(state.levels))

    def _stay_in_loop(self) -> None:
        """Remember the event loop; raise if another one was used before."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._recollection.start(loop)
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this dispatcher belongs to another event loop; make one dispatcher for each loop, "
                "and share a budget between them"
            )
