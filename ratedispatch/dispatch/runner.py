"""
The life of one request: count, wait for a permit, send, interpret, report, outcome.

Decides the order of these steps, and nothing within them. Knows nothing of files, of the SDK or of
the arithmetic of buckets.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, TypeVar

from ratedispatch.dispatch.breaker import CircuitBreaker
from ratedispatch.dispatch.deadlines import Deadlines
from ratedispatch.dispatch.in_time import in_time
from ratedispatch.dispatch.inflight import InFlight, feedback_of, outcome_of
from ratedispatch.dispatch.not_found import NotFoundGuard
from ratedispatch.dispatch.permits import acquire
from ratedispatch.dispatch.pool_factory import routes_of
from ratedispatch.dispatch.pool_routes import PoolRoutes
from ratedispatch.dispatch.retry import RETRYABLE, RETRYABLE_WITH_DAYS, RetryPolicy, RetryWaits
from ratedispatch.dispatch.sending import send
from ratedispatch.dispatch.shared_limits import attach
from ratedispatch.dispatch.site import Feeders, Site
from ratedispatch.dispatch.stop import StopSignal, used_up
from ratedispatch.dispatch.streak import ABOUT_ACCOUNT, RETIRING
from ratedispatch.errors import CostExceedsLimit, DeadlineMissed, InvalidLimits, InvalidRequest
from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    LimitChanged,
    QueuePaused,
    RequestEnded,
    RequestSkipped,
    SharingChanged,
)
from ratedispatch.outcome import Completed, Decision, Failed
from ratedispatch.pacing.feedback import Pause, SharingChange
from ratedispatch.pacing.turn import FIRST_COME

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from ratedispatch.dispatch.inflight import Attempt
    from ratedispatch.dispatch.listeners import Listeners
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.dispatch.route import Route
    from ratedispatch.dispatch.routing import RouteFactory
    from ratedispatch.limits import Rate
    from ratedispatch.outcome import Outcome
    from ratedispatch.pacing.feedback import Change
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Request
    from ratedispatch.tokens.estimator import Estimator

OutcomeT = TypeVar("OutcomeT", bound=Completed | Failed)

#: Decisions that leave a request unanswered rather than failed when its route stops, and that say
#: nothing about whether model, path and key are right.
_UNRESOLVED = RETRYABLE_WITH_DAYS | {Decision.STOP, Decision.UNPAID, Decision.MISSING}


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
        feeders: Who may bring more requests.
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
        retryable = RETRYABLE_WITH_DAYS if self._waits_for_days else RETRYABLE
        self._retryable = retryable | ABOUT_ACCOUNT
        self._is_tolerant = options.tolerate_failures
        self._rng = rng
        self._calls: dict[InFlight, None] = {}  # a set that keeps its order
        self._deadlines = Deadlines()
        self.ranks = itertools.count()
        self.stopping = StopSignal()
        self.routes = routes_of(factory, self._make_route, name_of, listeners.tell)
        self._pool = self.routes if isinstance(self.routes, PoolRoutes) else None
        self._not_found = NotFoundGuard(self.routes, self.stop)
        self.feeders = Feeders(self.routes.settle)
        self.routes.start()

    async def prepare(self, request: Request, turn: Turn = FIRST_COME) -> InFlight | Failed:
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
        if self._pool is not None:
            turn = self._pool.tied(turn, cost)
        return InFlight(request, cost, rank, route, turn=turn)

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
        # what another member may answer is never the caller's to judge
        call.is_mapped = is_mapped or self._pool is not None
        self._calls[call] = None
        try:
            attempt = await self._persist(call, permit)
            left = 1 if self._pool is None else len(self._pool)
            while is_mapped and await self._not_found.may_try_again(call, attempt.result) and left:
                left -= 1  # again: an outage is over, or a member has stopped
                attempt = await self._persist(call, None)
        except (CostExceedsLimit, DeadlineMissed) as error:
            return self.unsendable(call, error)
        finally:
            del self._calls[call]
            if self._pool is not None:
                self._pool.settle()
            elif call.route.breaker.is_watching:
                call.route.breaker.settle()
        if attempt.result.decision in _UNRESOLVED:
            reason = self.stopping.reason or (self.routes.only or call.route).retired
            if reason is not None:
                raise reason()
        return self._end(outcome_of(call, attempt))

    def unsendable(self, call: InFlight, error: CostExceedsLimit | DeadlineMissed) -> Failed:
        """Return the outcome of *call*, which no limit allows, or not in time."""
        code = "deadline_missed" if isinstance(error, DeadlineMissed) else "cost_exceeds_limit"
        return self._end(Failed(call.request, code, str(error), call.answer, call.attempts, error))

    def stop(self, code: str, message: str) -> None:
        """Send nothing more; only the first stop counts."""
        if self.stopping.reason is not None:
            return
        self.stopping.set(reason := self.stopping.error(code, message))
        self.routes.close(reason)
        self._not_found.abandon()
        self.stopping.tell_all()

    def abandon(self) -> None:
        """After a stop: wait no longer for what is in flight."""
        self.stopping.is_abandoned = True
        for call in self._calls:
            call.reschedule(asyncio.get_running_loop().time())

    def retire(self, route: Route, code: str, message: str) -> None:
        """Send nothing more on *route*; stop if it was the last."""
        reason = self.stopping.error(code, message)
        if self.routes.retire(route, reason):
            self.stopping.wake(reason, route)  # of a pool, those that wait to be confirmed
        else:
            self.stop(code, message)

    def skip(self, request: Request, attempts: int) -> None:
        """Tell listeners that *request* is left unanswered after *attempts* attempts."""
        if self._listeners.are_there:
            now = asyncio.get_running_loop().time()
            self._listeners.tell(RequestSkipped(request, attempts, now))

    async def _persist(self, call: InFlight, permit: Permit | None) -> Attempt:
        """Attempt *call* until nothing is gained by another one; return the last attempt."""
        waits: RetryWaits | None = None
        pool = self._pool
        while True:
            attempt = await self._attempt(call, permit)
            permit = None
            result = attempt.result
            if result.decision is Decision.ANSWERED or call.has_begun:
                return attempt
            if pool is not None and pool.takes_over(call, result):
                continue
            if call.route.retired:
                return attempt
            breaker = call.route.breaker
            is_parked = breaker.parks(result)
            if is_parked and result.decision not in ABOUT_ACCOUNT:
                await in_time(call, breaker.park())
                continue
            if result.decision not in self._retryable:
                return attempt
            waits = waits or RetryWaits(self._retry, self._rng)
            is_excused = breaker.excuses(result)
            if is_excused:
                waits.forgive()
            delay = waits.next(result, call.verdict, is_calm=breaker.streak.is_calm)
            if delay is None:
                self.stopping.check()
                return attempt
            if is_parked:
                await in_time(call, breaker.park())
                continue
            await in_time(call, self.stopping.sleep(delay, self.routes.only or call.route), delay)
            if breaker.clears(call) and not is_excused:
                waits.forgive()

    async def _attempt(self, call: InFlight, permit: Permit | None) -> Attempt:
        """Make one attempt, its admission included."""
        route = call.route
        if permit is None:
            permit = await acquire(route.admission, call.cost, call.rank, call.turn)
        if permit.lane is not route.lane and self._pool is not None:
            route = call.route = self._pool.behind(permit.lane, call.turn)
        try:
            if self.stopping.is_abandoned:  # between the grant and now
                permit.cancel()
                self.stopping.check()
            call.permit, call.attempts = permit, call.attempts + 1
            breaker = route.breaker
            call.number = breaker.sent = breaker.sent + 1
            call.started = asyncio.get_running_loop().time()
            if self._listeners.are_there:
                sent = (call.request, call.attempts, call.cost, permit.waited, call.started)
                self._listeners.tell(AttemptSent(*sent, route.name))
            waits = self._waits_for_days
            attempt = await send(call, self.stopping, self._deadlines, waits_for_days=waits)
            if attempt.result.decision is not Decision.ANSWERED:
                self._judge(call, attempt)
            elif breaker.is_watching or not self._not_found.is_trusted:
                self._not_found.on_success()
                breaker.on_answer(call.number)
            elif call.number > breaker.streak.answered:
                breaker.streak.answered = call.number
            feedback = feedback_of(attempt, call.rank, waits_for_days=waits)
            changes, call.verdict = permit.report(feedback), permit.verdict
        except BaseException:
            permit.close()  # if it is open still
            raise
        self._learn(call, attempt, changes)
        return attempt

    def _judge(self, call: InFlight, attempt: Attempt) -> None:
        """Stop or hold what *attempt* shows to be pointless, before its permit lets others go."""
        route, result, decision = call.route, attempt.result, attempt.result.decision
        if attempt.response is not None and decision not in _UNRESOLVED:
            self._not_found.on_success()
        route.breaker.on_failure(call, attempt)
        is_final = decision in RETIRING and not route.breaker.is_open
        if self._pool is not None and self._pool.is_misplaced(call, result):
            self.retire(route, "not_found", result.message)
        elif is_final and not (self._waits_for_days and decision is Decision.DAY_LIMIT):
            self.retire(route, result.code, result.message)

    def _learn(self, call: InFlight, attempt: Attempt, changes: Sequence[Change]) -> None:
        """Learn from an attempt whose permit is closed, and tell the listeners."""
        result, route, decision = attempt.result, call.route, attempt.result.decision
        for change in changes:
            self.note(route, change, result.code)
        if decision is Decision.ANSWERED:
            self.stopping.has_answered = True
            latency, timeout = attempt.latency, route.timeout
            if latency > timeout.settled_up_to and timeout.record(latency, result.usage):
                for each in self._calls:  # held to what was learned just now
                    each.wind()
            if result.usage is not None:
                self._estimator.learn(call.request, call.cost, result.usage)
        if self._listeners.are_there:
            now, latency = asyncio.get_running_loop().time(), attempt.latency
            status = None if attempt.response is None else attempt.response.status
            sent = call.request, call.attempts, call.cost, status, decision, result.code, latency
            told = now, route.name, result.usage, result.readings
            self._listeners.tell(AttemptEnded(*sent, *told))

    def note(self, route: Route, change: Change, code: str = "") -> None:
        """Tell of a change in the pacing of *route*."""
        now = asyncio.get_running_loop().time()
        if isinstance(change, Pause):
            self._listeners.tell(QueuePaused(change.seconds, code, now, route.name))
            self.routes.pauses(route, change.seconds)
        elif isinstance(change, SharingChange):
            self._listeners.tell(SharingChanged(change.text, route.name, now, change.others))
        else:
            route.learn(change.rate)
            self._listeners.tell(LimitChanged(change.rate, route.name, now))

    def _make_route(self, name: str) -> Route:
        breaker = CircuitBreaker(is_tolerant=self._is_tolerant)
        route = self._factory.make(name, breaker, None if self._waits_for_days else self._run_dry)
        around = (self._calls, self.feeders, self._not_found, self.stopping)
        breaker.place = Site(route, *around, self._give_up)
        attach(route, self.note)
        return route

    def _give_up(self, route: Route, code: str, message: str) -> None:
        """Retire *route*, whose breaker has lost patience; all if its server is not there."""
        if code == "unreachable" and self._pool is None:
            self.stop(code, message)
        else:
            self.retire(route, code, message)

    def _run_dry(self, name: str, rate: Rate, wait: float) -> None:
        for route in self.routes:
            if route.name == name and route.retired is None:
                self.retire(route, "day_limit", used_up(rate, wait))

    def _end(self, outcome: OutcomeT) -> OutcomeT:
        if self._listeners.are_there:
            self._listeners.tell(RequestEnded(outcome, asyncio.get_running_loop().time()))
        return outcome
