"""
One request from its arrival to its outcome, and the results of its attempts. Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.errors import AnswerTooLarge, AttemptTimeout, TransportError
from ratedispatch.outcome import Completed, Decision, Failed, Interpretation, Usage
from ratedispatch.pacing.feedback import End, Feedback, Strain
from ratedispatch.pacing.turn import FIRST_COME

if TYPE_CHECKING:
    from ratedispatch.dispatch.deadlines import Deadline
    from ratedispatch.dispatch.pump import EventPump
    from ratedispatch.dispatch.route import Route
    from ratedispatch.outcome import Outcome, Response
    from ratedispatch.pacing.feedback import Verdict
    from ratedispatch.pacing.lane import Lane
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Cost, Request

#: HTTP statuses from here on are errors, for which nothing was generated.
_ERROR_STATUS = 400
_NOTHING = Usage(0, 0)

#: Attempts of a request that may fail while nearly all others are answered, before the request is
#: to blame. Where one answer in ten is a fault, one request in a thousand meets three in a row.
_OUTLIVED = 1

_STRAINS = {Decision.OVERLOADED: Strain.OVERLOADED, Decision.QUEUE_FULL: Strain.QUEUE_FULL}


@dataclass(eq=False, slots=True)
class InFlight:
    """
    A request from its arrival to its outcome.

    Args:
        request: As it was submitted.
        cost: What each attempt pays.
        rank: Its place in the queue, which it keeps.
        route: Where it is sent.
        attempts: Attempts so far.
        timeouts: Attempts of these that timed out.
        outlived: Attempts of these that failed while later ones of others were answered.
        started: When the last attempt left, in seconds of the loop.
        verdict: What the refusal of the last attempt is about; None if it was not refused.
        clock: The deadline of the attempt that is in flight; None if none is.
        number: The number of the last attempt among all on its route.
        is_mapped: Whether it is one of many, whose failures say something about each other.
        turn: Its claim on a place in the queue, which it keeps, too.
        tried: Where it was not taken, of a pool.
        place: Its place among the requests of its map.
        pump: Carries the events of its answer, if they are requested.
        permit: The permit of the last attempt.
        answer: What came back of the last attempt; None if nothing did.
    """

    request: Request
    cost: Cost
    rank: int
    route: Route
    attempts: int = 0
    timeouts: int = 0
    outlived: int = 0
    started: float = 0.0
    verdict: Verdict | None = None
    clock: Deadline | None = None
    number: int = 0
    is_mapped: bool = False
    place: int = 0
    turn: Turn = FIRST_COME
    tried: frozenset[Lane] = frozenset()
    pump: EventPump | None = None
    permit: Permit | None = None
    answer: Response | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a part of its answer was passed on: then there is no other attempt."""
        return self.pump is not None and self.pump.has_begun

    @property
    def is_to_blame(self) -> bool:
        """Whether it has failed repeatedly while others were answered."""
        return self.outlived > _OUTLIVED

    def wind(self) -> None:
        """Hold the attempt that is in flight to the timeout that has just been learned."""
        if not self.has_begun:
            self.reschedule(self.started + self.allowed())

    def allowed(self) -> float:
        """Return the seconds that its next attempt may take."""
        own = self.request.timeout
        return self.route.timeout.allowed(self.timeouts, self.cost) if own is None else own

    def reschedule(self, when: float) -> None:
        """Let the attempt that is in flight, if any, time out at the instant *when*."""
        if self.clock is not None:
            self.clock.reschedule(when)


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    How an attempt went.

    Args:
        result: What is made of it.
        response: The answer, if one came.
        latency: Seconds from sending to the whole answer.
        error: What was raised instead of an answer.
        has_told: Whether what it says about the buckets was taken in when it began.
    """

    result: Interpretation
    response: Response | None
    latency: float
    error: BaseException | None = None
    has_told: bool = False


def feedback_of(attempt: Attempt, row: int, *, waits_for_days: bool) -> Feedback:
    """
    Return what *attempt* says about its route.

    Args:
        attempt: How it went.
        row: The rank of its request.
        waits_for_days: Whether a day's limit is waited for like any other.
    """
    result, response = attempt.result, attempt.response
    decision = result.decision
    usage, readings = result.usage, None
    if response is not None:
        readings = None if attempt.has_told else result.readings
        if response.status >= _ERROR_STATUS:
            usage = _NOTHING
    if decision is Decision.ANSWERED:
        return Feedback(End.ANSWERED, usage, readings, row=row)
    if decision is Decision.UNREACHABLE:
        return Feedback(End.UNSENT)  # no server has counted it
    is_refused = decision in _STRAINS or decision is Decision.RATE_LIMIT
    if is_refused or (waits_for_days and decision is Decision.DAY_LIMIT):
        strain = _STRAINS.get(decision)
        return Feedback(End.REFUSED, usage, readings, result.delay, result.dimension, strain, row)
    return Feedback(End.FAILED, usage, readings, row=row)


def outcome_of(call: InFlight, attempt: Attempt) -> Outcome:
    """Return what the caller gets of *call*, whose last attempt was *attempt*."""
    result, response = attempt.result, attempt.response
    if result.decision is Decision.ANSWERED:
        assert response is not None
        return Completed(
            call.request,
            response,
            call.cost,
            result.usage,
            call.attempts,
            attempt.latency,
            call.route.name,
        )
    return Failed(call.request, result.code, result.message, response, call.attempts, attempt.error)


def interpret_broken(error: Exception) -> Interpretation:
    """Return what is made of an attempt without an answer."""
    if isinstance(error, AttemptTimeout):
        return Interpretation(Decision.TRANSIENT, "timeout", str(error))
    if isinstance(error, AnswerTooLarge):
        return Interpretation(Decision.FAIL, "answer_too_large", str(error))
    if isinstance(error, TransportError) and not error.reached:
        return Interpretation(Decision.UNREACHABLE, "unreachable", str(error))
    return Interpretation(Decision.TRANSIENT, "connection_broken", str(error))
