"""Queues and budgets for tests of pacing, without chance."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.permits import LoopAlarm, acquire
from ratedispatch.limits import Limits
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.feedback import ABANDONED, End, Feedback
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.request import Cost

if TYPE_CHECKING:
    from ratedispatch.limits import Reading
    from ratedispatch.outcome import Usage

# one request and a hundred tokens a second; bursts of one request and a hundred tokens
LIMITS = Limits(60, 6000, burst_seconds=1)
FAST = Limits(60_000, None, burst_seconds=1)


def now() -> float:
    return asyncio.get_running_loop().time()


async def admit(queue: Admission, rank: int, tokens: int = 1) -> tuple[int, float]:
    """Go through the queue and close the permit at once; return rank and time."""
    permit = await acquire(queue, Cost(tokens), rank)
    when = now()
    permit.report(ABANDONED)
    return rank, when


class NoJitter(random.Random):
    """Chance that never adds anything."""

    def uniform(self, a: float, b: float) -> float:
        """Return the least."""
        del b
        return a


def admission(limits: Limits, most: int = 100, *, refunds: bool = False, **rest: Any) -> Admission:
    """Return a queue of the running loop with a budget of its own, without jitter."""
    budget = rest.pop("budget", None) or LocalBudget(limits, refunds=refunds)
    weights = rest.pop("weights", None)
    lane = Lane(budget, FixedLimit(most), **{"rng": NoJitter(), **rest})
    return Admission([lane], LoopAlarm(), weights=weights)


def answered(*readings: Reading, usage: Usage | None = None) -> Feedback:
    """Return what an answer with these readings says."""
    return Feedback(End.ANSWERED, usage, readings)


def refused(
    delay: float | None = None, *readings: Reading, dimension: str | None = None
) -> Feedback:
    """Return what a refusal says."""
    return Feedback(End.REFUSED, None, readings, delay, dimension)


def reserve(budget: LocalBudget, now: float, cost: Cost | int = 1) -> Reservation:
    """Debit *cost*, in tokens if it is a number; it has to be possible."""
    reserved = budget.reserve(Cost(cost) if isinstance(cost, int) else cost, now)
    assert isinstance(reserved, Reservation)
    return reserved


def wait_of(budget: LocalBudget, now: float, cost: int = 1) -> float:
    """Return the seconds until *cost* could be paid; it must not be possible yet."""
    reserved = budget.reserve(Cost(cost), now)
    assert isinstance(reserved, NotUntil)
    return reserved.wait


def reserve_in_time(budget: LocalBudget, now: float, cost: int = 1) -> tuple[Reservation, float]:
    """
    Wait until *cost* can be paid; return the reservation and when that was.

    Asks again after a second at most, as a queue does: a wait may turn out shorter.
    """
    while isinstance(reserved := budget.reserve(Cost(cost), now), NotUntil):
        now += max(min(reserved.wait, 1.0), 1e-9)
    return reserved, now


def times_of(limits: Limits, costs: list[int]) -> list[float]:
    """Return when each of *costs* tokens can be paid, one after the other from 0 on."""
    budget, now, times = LocalBudget(limits), 0.0, []
    for cost in costs:
        reservation, now = reserve_in_time(budget, now, cost)
        budget.report(reservation, ABANDONED, now)
        times.append(now)
    return times
