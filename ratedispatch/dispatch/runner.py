"""
The life of one request: count, wait for a permit, send, interpret, report, outcome.

Decides the order of these steps and nothing within them. Knows nothing of files, of the SDK or of
the arithmetic of buckets.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
from typing import TYPE_CHECKING, TypeVar

from ratedispatch.dispatch.breaker import CircuitBreaker
from ratedispatch.dispatch.deadlines import Deadlines
from ratedispatch.dispatch.inflight import (
    Attempt,
    InFlight,
    feedback_of,
    interpret_broken,
    outcome_of,
)
from ratedispatch.dispatch.permits import acquire
from ratedispatch.dispatch.retry import RETRYABLE, RETRYABLE_WITH_DAYS, RetryPolicy, RetryWaits
from ratedispatch.dispatch.route import Routes
from ratedispatch.dispatch.stop import StopSignal
from ratedispatch.errors import (
    AttemptTimeout,
    CostExceedsLimit,
    InvalidLimits,
    InvalidRequest,
    TransportError,
)
from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    LimitChanged,
    QueuePaused,
    RequestEnded,
    RequestSkipped,
)
from ratedispatch.outcome import Completed, Decision, Failed, Interpretation
from ratedispatch.pacing.feedback import Pause

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from ratedispatch.dispatch.listeners import Listeners
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.dispatch.route import Route
    from ratedispatch.dispatch.routing import RouteFactory
    from ratedispatch.limits import Rate
    from ratedispatch.outcome import Outcome
    from ratedispatch.pacing.feedback import Change
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.request import Request
    from ratedispatch.tokens.estimator import Estimator

OutcomeT = TypeVar("OutcomeT", bound=Completed | Failed)

#: Seconds to wait for a day's limit that does not say when it is reset.
_DAY_POLL_SECONDS = 300.0

#: Decisions that leave a request unanswered rather than failed when its route stops, and that say
#: nothing about whether model, path and key are right.
_UNRESOLVED = RETRYABLE_WITH_DAYS | {Decision.STOP, Decision.MISSING}

#: Decisions after which a route sends nothing more.
_RETIRING = frozenset({Decision.STOP, Decision.DAY_LIMIT})


class Runner:
    """
    Takes requests from their arrival to their outcome.

    Args:
        factory: Makes the routes.
        name_of: Tells the name of a model's route; None if all models share one.
        estimator: Counts requests.
        listeners: Told of every attempt and outcome.
        options: How to send.
        rng: The source of jitter.

    Attributes:
        stopping: Whether and why nothing more is sent.
        routes: Where requests are sent.
        ranks: Numbers the requests in the order in which they come.
    """

    def __init__(
        self,
        factory: RouteFactory,
        name_of: Callable[[str], str] | None,
        estimator: Estimator,
        listeners: Listeners,
        options: DispatcherOptions,
        *,
        rng: random.Random,
    ) -> None:
        self._factory = factory
        self._estimator = estimator
        self._listeners = listeners
        self._retry = options.retry or RetryPolicy()
        self._waits_for_days = options.wait_for_reset
        self._retryable = RETRYABLE_WITH_DAYS if options.wait_for_reset else RETRYABLE
        self._rng = rng
        self._calls: set[InFlight] = set()
        self._deadlines = Deadlines()
        self.ranks = itertools.count()
        self.stopping = StopSignal()
        self.routes = Routes(self._make_route, name_of, factory.possible)
        self._breaker = CircuitBreaker(self.routes, self.stop)
        self.routes.start()
        self._on_stop: list[Callable[[], None]] = []

    async def prepare(self, request: Request) -> InFlight | Failed:
        """
        Count *request*; it fails at once if that cannot be done or it can never go.

        Raises:
            Stopped: Its route sends nothing more.
        """
        rank = next(self.ranks)  # before anything is waited for
        try:
            route = self.routes.only or self.routes.of(request.model)
        except InvalidLimits as error:
            return self._end(Failed(request, "no_limits", str(error), error=error))
        if route.retired is not None:
            raise route.retired()
        try:
            cost = self._estimator.estimate_now(request)
            if cost is None:
                cost = await self._estimator.estimate(request)
            cost = route.checked(cost, lambda: request.label)
        except InvalidRequest as error:
            return self._end(Failed(request, "invalid_request", str(error), error=error))
        except CostExceedsLimit as error:
            return self._end(Failed(request, "cost_exceeds_limit", str(error), error=error))
        return InFlight(request, cost, rank, route)

    async def run(
        self, call: InFlight, permit: Permit | None = None, *, is_mapped: bool = False
    ) -> Outcome:
        """
        Attempt *call* until there is an outcome.

        Args:
            call: As `prepare` returned it.
            permit: For its first attempt, if it has one already.
            is_mapped: Whether it is one of many, of which the first to be not found may stop all.

        Raises:
            Stopped: Nothing more is sent, and it was not answered.
        """
        waits: RetryWaits | None = None
        self._calls.add(call)
        try:
            while True:
                attempt = await self._attempt(call, permit)
                permit = None
                if attempt.result.decision not in self._retryable:
                    break
                waits = waits or RetryWaits(self._retry, self._rng)
                delay = waits.next(attempt.result, call.verdict)
                if delay is None:
                    self.stopping.check()
                    break
                await self.stopping.sleep(delay, call.route)
            if attempt.result.decision is Decision.MISSING and is_mapped:
                await self._breaker.confirm(attempt.result)
        finally:
            self._calls.discard(call)
        if attempt.result.decision in _UNRESOLVED:
            reason = self.stopping.reason or call.route.retired
            if reason is not None:
                raise reason()
        return self._end(outcome_of(call, attempt))

    def stop(self, code: str, message: str) -> None:
        """Send nothing more; only the first stop counts."""
        stopping = self.stopping
        if stopping.reason is not None:
            return
        reason = stopping.error(code, message)
        stopping.set(reason)
        self.routes.close(reason)
        self._breaker.abandon()
        for tell in self._on_stop:
            tell()

    def on_stop(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call *tell* when everything stops; return what takes it back."""
        self._on_stop.append(tell)
        return lambda: self._on_stop.remove(tell)

    def abandon(self) -> None:
        """After a stop: wait no longer for what is in flight."""
        self.stopping.is_abandoned = True
        now = asyncio.get_running_loop().time()
        for call in self._calls:
            call.reschedule(now)

    def retire(self, route: Route, code: str, message: str) -> None:
        """Send nothing more on *route*; stop if it was the last."""
        reason = self.stopping.error(code, message)
        if self.routes.retire(route, reason):
            self.stopping.wake(reason, route)
        else:
            self.stop(code, message)

    def skip(self, request: Request, attempts: int) -> None:
        """Tell that *request*, sent so many times, is left unanswered."""
        if self._listeners.are_there:
            now = asyncio.get_running_loop().time()
            self._listeners.tell(RequestSkipped(request, attempts, now))

    async def _attempt(self, call: InFlight, permit: Permit | None) -> Attempt:
        """Make one attempt, its admission included."""
        route = call.route
        if permit is None:
            permit = await acquire(route.admission, call.cost, call.rank)
        try:
            if self.stopping.is_abandoned:  # between the grant and now
                permit.cancel()
                self.stopping.check()
            call.attempts += 1
            call.started = asyncio.get_running_loop().time()
            if self._listeners.are_there:
                self._listeners.tell(
                    AttemptSent(call.request, call.attempts, call.cost, permit.waited, call.started)
                )
            attempt = await self._send(call)
            if attempt.result.decision is not Decision.ANSWERED or self._breaker.is_watching:
                self._judge(route, attempt)
            feedback = feedback_of(attempt, call.rank, waits_for_days=self._waits_for_days)
            changes, call.verdict = permit.report(feedback), permit.verdict
        except BaseException:
            permit.close()  # if it is open still
            raise
        self._learn(call, attempt, changes)
        return attempt

    async def _send(self, call: InFlight) -> Attempt:
        """Send *call* once and interpret what comes back, be it an exception."""
        loop, route = asyncio.get_running_loop(), call.route
        allowed = route.timeout.allowed(call.timeouts) if call.timeouts else route.timeout.usual
        response = None
        error: BaseException | None = None
        try:
            with self._deadlines.within(allowed) as call.clock:
                response = await route.transport.send(call.request, allowed)
            result = route.provider.interpret(response, call.request.endpoint)
        except (TransportError, TimeoutError) as broken:
            if self.stopping.is_abandoned and self.stopping.reason is not None:
                raise self.stopping.reason() from None
            error = broken
            if not isinstance(broken, TransportError):
                error = AttemptTimeout(f"no answer within {loop.time() - call.started:.0f} s")
            result = interpret_broken(error)
            call.timeouts += isinstance(error, AttemptTimeout)
        except asyncio.CancelledError as fault:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            error = fault  # a transport's own mistake: nobody has cancelled the request
            result = Interpretation(Decision.FAIL, "cannot_send", "the transport gave it up")
        except Exception as fault:  # a body that is no JSON, say: one bad row ends no job
            error, reason = fault, f"{type(fault).__name__}: {fault}"
            result = Interpretation(Decision.FAIL, "cannot_send", reason)
        finally:
            call.clock = None
        if result.decision is Decision.DAY_LIMIT and self._waits_for_days and result.delay is None:
            result = dataclasses.replace(result, delay=_DAY_POLL_SECONDS)
        return Attempt(result, response, loop.time() - call.started, error)

    def _judge(self, route: Route, attempt: Attempt) -> None:
        """Stop or hold what *attempt* shows to be pointless, before its permit lets others go."""
        result, breaker = attempt.result, self._breaker
        decision = result.decision
        if attempt.response is not None and breaker.is_watching:
            breaker.on_reached()
            if decision not in _UNRESOLVED:
                breaker.on_success()
        if decision is Decision.UNREACHABLE:
            breaker.on_unreachable(result.message)
        elif decision in _RETIRING and decision not in self._retryable:
            self.retire(route, result.code, result.message)

    def _learn(self, call: InFlight, attempt: Attempt, changes: Sequence[Change]) -> None:
        """Learn from an attempt whose permit is closed, and tell the listeners."""
        result, response, route = attempt.result, attempt.response, call.route
        decision = result.decision
        for change in changes:
            self.note(route, change, result.code)
        if decision is Decision.ANSWERED:
            self.stopping.has_answered = True
            timeout = route.timeout
            if attempt.latency > timeout.settled_up_to and timeout.record(attempt.latency):
                self._wind_clocks()
            if result.usage is not None:
                self._estimator.learn(call.request, call.cost, result.usage)
        if self._listeners.are_there:
            status = response.status if response is not None else None
            self._listeners.tell(
                AttemptEnded(
                    call.request,
                    call.attempts,
                    call.cost,
                    status,
                    decision,
                    result.code,
                    attempt.latency,
                    asyncio.get_running_loop().time(),
                )
            )

    def note(self, route: Route, change: Change, code: str = "") -> None:
        """Tell of a change in the pacing of *route*."""
        now = asyncio.get_running_loop().time()
        if isinstance(change, Pause):
            self._listeners.tell(QueuePaused(change.seconds, code, now, route.name))
        else:
            route.learn(change.rate)
            self._listeners.tell(LimitChanged(change.rate, route.name, now))

    def _make_route(self, name: str) -> Route:
        on_dry = None if self._waits_for_days else self._run_dry
        return self._factory.make(name, self._breaker, on_dry)

    def _run_dry(self, name: str, rate: Rate, wait: float) -> None:
        seconds = f"{math.ceil(wait):,} s"
        message = f"the limit of {rate} is used up; the next request could go in {seconds}"
        for route in self.routes:
            if route.name == name and route.retired is None:
                self.retire(route, "day_limit", message)

    def _wind_clocks(self) -> None:
        """Hold what is in flight to the time-out that has just been learned."""
        for call in self._calls:
            call.reschedule(call.started + call.route.timeout.allowed(call.timeouts))

    def _end(self, outcome: OutcomeT) -> OutcomeT:
        if self._listeners.are_there:
            self._listeners.tell(RequestEnded(outcome, asyncio.get_running_loop().time()))
        return outcome
