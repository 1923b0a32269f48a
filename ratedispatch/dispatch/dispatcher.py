"""
The life of one request: count, wait for a permit, send, decide, settle, outcome.

Decides the order of these steps and nothing within them. Knows nothing of files, of the SDK or
of the arithmetic of buckets.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import math
import random
import time
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ratedispatch import tokens
from ratedispatch.dispatch.breaker import Probation
from ratedispatch.dispatch.inflight import Life, Result, outcome_of, overdue
from ratedispatch.dispatch.map import Stream
from ratedispatch.dispatch.retry import DAY_LIMIT, RETRYABLE, RetryPolicy, retrying
from ratedispatch.dispatch.route import Lane, Lanes
from ratedispatch.dispatch.timeout import Patience
from ratedispatch.dispatch.transports import as_transport
from ratedispatch.errors import (
    AttemptTimeout,
    CostExceedsLimit,
    InvalidLimits,
    InvalidRequest,
    Stopped,
    TransportError,
)
from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    LimitChanged,
    LinePaused,
    RequestEnded,
)
from ratedispatch.groups import LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Decision, Failed, Response, Ruling, Usage
from ratedispatch.pacing.bottleneck import CpuMeter, judge
from ratedispatch.pacing.budget import LocalBudget
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.concurrency.slots import (
    Slots,
    default_in_flight,
    most_in_flight,
    open_descriptors,
)
from ratedispatch.providers.dialects import dialect_for
from ratedispatch.providers.read.usage import read_usage
from ratedispatch.tokens import policy_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
    from types import TracebackType

    from ratedispatch.events import Event, Listener
    from ratedispatch.limits import Rate
    from ratedispatch.outcome import Outcome
    from ratedispatch.pacing.bottleneck import Verdict
    from ratedispatch.pacing.budget import Budget, Permit
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.request import Cost, Request
    from ratedispatch.tokens import ChargePolicy, Counter

OutcomeT = TypeVar("OutcomeT", bound=Completed | Failed)

#: Connections in the pool of an ``AsyncOpenAI`` made without an ``http_client``. What is sent
#: beyond them waits inside the pool, after it was paid for, and bursts out later.
_SDK_POOL = 1000

#: Requests of a ``map`` that may be open (waiting to be retried, or answered and not yet taken)
#: beyond those in flight.
_OPEN_BEYOND_FLIGHT = 256

#: Characters above which a request is counted in a thread. The slowest text there is takes
#: 1.5 µs a character, so that the loop is never held for more than 5 ms.
_LONG_TEXT = 3_000

#: Models that are remembered as met; for each other one, a thread loads what there is to load.
_MODELS_MET = 1_000

#: What may be in flight at first where a number has to be found: each doubling from there takes
#: two answers' time, while a server with fewer places lets what is too much wait once.
_FIRST_IN_FLIGHT = 32

#: HTTP statuses from here on are errors.
_ERROR = 400

#: Seconds to wait for a day's limit that does not say when it is reset.
_DAY_POLL = 300.0


class Dispatcher:
    """
    Sends requests at the limits of an account and gives every one of them an outcome.

    Use it as an async context manager, in one event loop.

    Args:
        client: An ``openai.AsyncOpenAI`` (its own retries are switched off for what goes
            through here), or any :class:`~ratedispatch.dispatch.transports.base.Transport`.
        limits: What the account may spend, or what groups of models may.
        max_in_flight: The most requests unanswered at once, of all groups together. By default
            what the limits, the file descriptors of this process and *connections* allow.
            ``"auto"`` finds the number that gives the most throughput without letting latency run
            away; that is also what is done as long as no limit is known.
        connections: How many the client opens at once; 1,000 is what ``AsyncOpenAI`` does.
        retry: How often and how patiently to try again.
        timeout: Seconds that an attempt may take. By default 600, and once a hundred answers
            are known ten times the slowest of them, but at least 60.
        wait_for_reset: Wait when a day's limit is used up, instead of stopping.
        listeners: Called with every :data:`~ratedispatch.events.Event`.
        default_output_tokens: Reserved for the output of a request that sets no cap, until
            enough answers of its model are known; then what 95 % of them stay within.
        policy: How the provider charges a request; by default by the client's base URL.
        budget: A budget to use instead of those of its own. It is closed with the dispatcher,
            so it cannot be shared by two.
        counter: Counts the requests; by default one shared by the process.
        rng: The source of jitter.
        cpu_clock: Seconds of processor time that this process has taken, for the verdict.

    Raises:
        TypeError: *client* is neither a client nor a transport.
    """

    def __init__(
        self,
        client: Any,
        limits: Limits | LimitGroups,
        *,
        max_in_flight: int | Literal["auto"] | None = None,
        connections: int = _SDK_POOL,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        wait_for_reset: bool = False,
        listeners: Sequence[Listener] = (),
        default_output_tokens: int = 16,
        policy: ChargePolicy | None = None,
        budget: Budget | None = None,
        counter: Counter | None = None,
        rng: random.Random | None = None,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        if isinstance(max_in_flight, int) and max_in_flight < 1:
            raise ValueError(f"max_in_flight must be at least 1, not {max_in_flight}")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds, not {timeout}")
        self._transport = as_transport(client)
        base_url = getattr(self._transport, "base_url", None)
        self._dialect = dialect_for(base_url)
        self._policy = policy or policy_for(base_url)
        self._limits = limits
        self._max_in_flight = max_in_flight
        self._connections = connections
        self._timeout = timeout
        self._wait_for_reset = wait_for_reset
        self._budget = budget
        name_of = None
        self._slots: Slots | None = None
        if isinstance(limits, LimitGroups):
            name_of = limits.group_of
            self._slots = Slots(
                max_in_flight if isinstance(max_in_flight, int) else self._possible_in_flight()
            )
        self._lanes = Lanes(self._make_lane, name_of)
        if name_of is None:
            self._lanes.of("")
        self._rng = rng or random.Random()
        self._attempt = retrying(self._attempt_once, retry or RetryPolicy(), self._rng)
        self._probation = Probation(self._lanes, self.stop)
        self._listeners = tuple(listeners)
        self._experience = tokens.Experience(default_output_tokens)
        self._count = counter.estimate if counter is not None else tokens.estimate
        self._met: set[str] = set()  # models whose vocabulary is loaded
        self._places = itertools.count()
        self._lives: set[Life] = set()
        self._streams: set[Stream] = set()
        self._answered = False
        self._cpu = CpuMeter(cpu_clock)
        self._stopped: Callable[[], Stopped] | None = None
        self._is_abandoned = False

    async def __aenter__(self) -> Dispatcher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Send nothing more. What is in flight belongs to whoever awaits it."""
        self.stop("closed", "the dispatcher was closed")

    async def submit(self, request: Request) -> Outcome:
        """
        Send *request* when it is its turn and return its outcome.

        Requests go in the order in which this is called. A request that cannot be answered
        returns :class:`~ratedispatch.Failed`; it does not raise.

        Raises:
            Stopped: Nothing more is sent (see :meth:`stop`), and this request was not answered.
        """
        if self._stopped is not None:
            raise self._stopped()
        life = await self._prepare(request)
        if isinstance(life, Failed):
            return life
        life.task = asyncio.current_task()
        return await self._live(life)

    async def map(
        self, requests: Iterable[Request] | AsyncIterable[Request]
    ) -> AsyncGenerator[Outcome, None]:
        """
        Send all *requests* in their order and yield their outcomes as they come.

        *requests* is read no further ahead than what may be open at once, so it may be endless,
        and there is never a task for a request that only waits. Leaving the loop early cancels
        what is in flight.

        Raises:
            Stopped: Nothing more is sent; raised after the outcomes of what was in flight.
            Exception: What *requests* raises, after the outcomes of what it yielded before.
        """
        stream = Stream(requests, self._lanes, self._prepare, self._live, self._is_stopped)
        self._streams.add(stream)
        try:
            async for outcome in stream:
                yield outcome
            if self._stopped is not None:
                raise self._stopped()
        finally:
            self._streams.discard(stream)
            await stream.close()

    def stop(self, code: str, message: str) -> None:
        """
        Send nothing more. What is in flight is waited for by whoever submitted it.

        Everything else that was submitted raises :class:`Stopped` with *code* and *message*.
        Only the first stop counts.
        """
        if self._stopped is not None:
            return
        self._stopped = lambda: Stopped(code, message, started=self._answered)
        self._lanes.close(self._stopped)
        self._probation.abandon()
        for life in self._lives:
            if life.resting:
                _interrupt(life)
        for stream in self._streams:
            stream.stop()

    def abandon(self) -> None:
        """
        After a :meth:`stop`: wait no longer for what is in flight either.

        Its requests raise :class:`Stopped` too; they may have been answered, and billed.
        """
        if self._stopped is None:
            raise RuntimeError("abandon() comes after stop()")
        self._is_abandoned = True
        for life in self._lives:
            _interrupt(life)

    def _is_stopped(self) -> bool:
        return self._stopped is not None

    def snapshot(self) -> Snapshot:
        """Return the state of the line, or of all lines together, and their buckets."""
        state = self._lanes.snapshot()
        if self._slots is None:
            return state
        most = min(state.max_in_flight, self._slots.most)
        return dataclasses.replace(state, max_in_flight=most)

    def verdict(self) -> Verdict:
        """Return what holds the line back (of several, the longest), in the last 15 seconds."""
        state = self._lanes.busiest()
        cpu = self._cpu.read(asyncio.get_running_loop().time())
        return judge(state.binding, {level.dimension: level.share for level in state.levels}, cpu)

    async def _prepare(self, request: Request) -> Life | Failed:
        """Count *request*; it fails at once if that cannot be done or it can never go."""
        place = next(self._places)  # before anything is waited for
        try:
            lane = self._lanes.of(request.model)
        except InvalidLimits as error:
            return self._end(Failed(request, "no_limits", str(error), error=error))
        try:
            cost = await self._estimate(request, lane)
            lane.budget.check(cost, request.label)
        except InvalidRequest as error:
            return self._end(Failed(request, "invalid_request", str(error), error=error))
        except CostExceedsLimit as error:
            return self._end(Failed(request, "cost_exceeds_limit", str(error), error=error))
        return Life(request, cost, place, lane)

    async def _estimate(self, request: Request, lane: Lane) -> Cost:
        def estimate() -> Cost:
            return self._count(
                request.body,
                request.endpoint,
                policy=self._policy,
                experience=self._experience,
            )

        model = request.model
        if model in self._met and not request.is_longer_than(_LONG_TEXT):
            cost = estimate()
        else:
            cost = await asyncio.to_thread(estimate)
            if len(self._met) < _MODELS_MET:
                self._met.add(model)
        if request.more:
            cost = dataclasses.replace(cost, more=request.more)
        most = lane.limits.known("tokens")
        if most is not None and not cost.is_capped and cost.tokens > most >= cost.prompt_tokens:
            # what others of its model have answered must not keep it from being sent at all
            return dataclasses.replace(cost, output_tokens=math.floor(most) - cost.prompt_tokens)
        return cost

    async def _live(self, life: Life) -> Outcome:
        """Attempt until there is an outcome."""
        self._lives.add(life)
        try:
            result = await self._attempt(life)
            if result.ruling.decision is Decision.MISSING and life.is_mapped:
                await self._probation.confirm(result.ruling)
        except asyncio.CancelledError:
            if self._stopped is None or not (life.resting or self._is_abandoned):
                raise
            # cancelled by stop or abandon, not by the caller
            task = asyncio.current_task()
            if task is not None and task.uncancel() > 0:
                raise
            raise self._stopped() from None
        finally:
            self._lives.discard(life)
        if self._stopped is not None and result.ruling.decision in _UNRESOLVED:
            raise self._stopped()
        return self._end(outcome_of(life, result))

    async def _attempt_once(self, life: Life) -> Result:
        """One attempt, admission included. This is what the retries repeat."""
        life.resting = False
        permit, life.permit = life.permit, None
        if permit is None:
            try:
                permit = await life.lane.budget.acquire(life.cost, life.place)
            except BaseException:
                self._probation.settle()  # it may have been the one that was to probe
                raise
        life.attempts += 1
        loop = asyncio.get_running_loop()
        life.started = loop.time()
        try:
            if self._listeners:
                waited = permit.waited
                self._tell(
                    AttemptSent(life.request, life.attempts, life.cost, waited, life.started)
                )
            result = await self._send(life)
        except BaseException:
            life.lane.budget.settle(permit, None)
            self._probation.settle()
            raise
        self._learn(life, permit, result)
        life.resting = result.ruling.decision in RETRYABLE
        if life.resting and self._stopped is not None:
            raise self._stopped()
        return result

    async def _send(self, life: Life) -> Result:
        loop = asyncio.get_running_loop()
        allowed = life.lane.patience.allowed(life.timeouts)
        response = None
        error: Exception | None = None
        try:
            async with asyncio.timeout(allowed) as life.clock:
                response = await self._transport.send(life.request, allowed)
            ruling = self._judge(response)
        except (TransportError, TimeoutError) as broken:
            error = broken if isinstance(broken, TransportError) else overdue(life, loop.time())
            ruling = _rule_broken(error)
            life.timeouts += isinstance(error, AttemptTimeout)
        except Exception as fault:  # a body that is no JSON, say: one bad row ends no job
            error = fault
            ruling = Ruling(Decision.FAIL, "cannot_send", f"{type(fault).__name__}: {fault}")
        finally:
            life.clock = None
        latency = loop.time() - life.started
        usage = read_usage(response.body) if response is not None else None
        return Result(ruling, response, latency, error, usage)

    def _judge(self, response: Response) -> Ruling:
        ruling = self._dialect.rule(response)
        if ruling.code == DAY_LIMIT and self._wait_for_reset:
            delay = _DAY_POLL if ruling.delay is None else ruling.delay
            return dataclasses.replace(ruling, decision=Decision.RATE_LIMIT, delay=delay)
        return ruling

    def _learn(self, life: Life, permit: Permit, result: Result) -> None:
        """Take from an attempt what it says about the buckets, the server and the job."""
        ruling, response = result.ruling, result.response
        budget = life.lane.budget
        if response is not None:
            refused = ruling.decision is Decision.RATE_LIMIT
            readings = self._dialect.read_limits(response)
            budget.observe(permit, readings, refused=refused)
            self._probation.reach()
            if ruling.decision not in _DOUBTFUL:
                self._probation.trust()
        match ruling.decision:
            case Decision.ANSWERED:
                self._answered = True
                if life.lane.answer(permit, result.latency):
                    self._wind_clocks()
            case Decision.RATE_LIMIT:
                delay = life.lane.refuse(permit, ruling, self._rng)
                if delay is not None:
                    now = asyncio.get_running_loop().time()
                    self._tell(LinePaused(delay, ruling.code, now, life.lane.name))
            case Decision.UNREACHABLE:
                self._probation.unreach(ruling.message)
            case Decision.STOP:
                self.stop(ruling.code, ruling.message)
        used = usage = result.usage
        if response is not None and response.status >= _ERROR:
            used = Usage(0, 0)  # nothing was generated
        if ruling.decision is Decision.UNREACHABLE:
            budget.cancel(permit)  # nobody has counted it
        else:
            budget.settle(permit, used, answered=ruling.decision is Decision.ANSWERED)
        if usage is not None and ruling.decision is Decision.ANSWERED:
            cost = life.cost
            self._experience.learn(
                life.request.model,
                counted=cost.counted_tokens,
                billed=usage.prompt_tokens,
                output=usage.output_tokens,
                choices=cost.choices,
                cut=cost.is_capped and usage.output_tokens >= cost.output_tokens,
            )
        self._probation.settle()
        if self._listeners:
            status = response.status if response is not None else None
            now = asyncio.get_running_loop().time()
            self._tell(
                AttemptEnded(
                    life.request,
                    life.attempts,
                    life.cost,
                    status,
                    ruling.decision,
                    ruling.code,
                    result.latency,
                    now,
                )
            )

    def _make_lane(self, name: str) -> Lane:
        """Make the lane of a group of models; of all of them if the name is empty."""
        limits, most = self._limits, self._max_in_flight
        if isinstance(limits, LimitGroups):
            most = limits.most_in_flight(name) or most
            limits = limits.limits_of(name)
        possible = self._possible_in_flight()
        is_unknown = all(rate.is_auto for rate in limits.rates())
        bound: int | AdaptiveLimit
        if isinstance(most, int):
            bound = most
        elif most == "auto" or is_unknown:
            bound = AdaptiveLimit(start=min(_FIRST_IN_FLIGHT, possible), most=possible)
        else:
            bound = min(possible, default_in_flight(limits, None))
        budget = self._budget or LocalBudget(
            limits,
            bound,
            refund=self._policy.settles,
            slots=self._slots,
            group=name,
            on_change=functools.partial(self._note_limit, name),
            on_dry=None if self._wait_for_reset else self._run_dry,
        )
        known = bound if isinstance(bound, int) else possible
        lane = Lane(name, limits, budget, Patience(self._timeout), known + _OPEN_BEYOND_FLIGHT)
        lane.is_unbounded = most is None and is_unknown
        return lane

    def _possible_in_flight(self) -> int:
        return min(self._connections, most_in_flight(open_descriptors()))

    def _note_limit(self, group: str, rate: Rate) -> None:
        """Tell of a limit that has been learned; it also says how many may be in flight."""
        lane = self._lanes.named(group)
        if lane.is_unbounded and rate.dimension == "requests" and not rate.is_auto:
            lane.is_unbounded = False
            known = default_in_flight(Limits(requests_per_minute=rate.per_minute), None)
            lane.budget.bound(min(self._possible_in_flight(), known))
        if self._listeners:
            now = asyncio.get_running_loop().time()
            self._tell(LimitChanged(rate, group, now))

    def _run_dry(self, rate: Rate, wait: float) -> None:
        self.stop(
            "day_limit",
            f"the limit of {rate} is used up; the next request could go in {math.ceil(wait):,} s",
        )

    def _wind_clocks(self) -> None:
        """Hold what is in flight to the bound that has just been learned."""
        for life in self._lives:
            if life.clock is not None and not life.clock.expired():
                when = life.started + life.lane.patience.allowed(life.timeouts)
                life.clock.reschedule(when)

    def _end(self, outcome: OutcomeT) -> OutcomeT:
        if self._listeners:
            self._tell(RequestEnded(outcome, asyncio.get_running_loop().time()))
        return outcome

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


#: Decisions that leave a request unanswered rather than failed when the job stops.
_UNRESOLVED = RETRYABLE | {Decision.STOP, Decision.MISSING}

#: Decisions that say nothing about whether model, path and key are right.
_DOUBTFUL = RETRYABLE | {Decision.STOP, Decision.MISSING}


def _interrupt(life: Life) -> None:
    if life.task is not None and not life.is_interrupted:
        life.is_interrupted = True
        life.task.cancel()


def _rule_broken(error: TransportError) -> Ruling:
    if isinstance(error, AttemptTimeout):
        return Ruling(Decision.TRANSIENT, "timeout", str(error))
    if not error.reached:
        return Ruling(Decision.UNREACHABLE, "unreachable", str(error))
    return Ruling(Decision.TRANSIENT, "connection_broken", str(error))
