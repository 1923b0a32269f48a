"""
A request on its way, and how each of its attempts went.

Values that pass between those who decide; they decide nothing themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import AttemptTimeout
from ratedispatch.outcome import Completed, Decision, Failed

if TYPE_CHECKING:
    import asyncio

    from ratedispatch.dispatch.route import Lane
    from ratedispatch.outcome import Outcome, Response, Ruling, Usage
    from ratedispatch.pacing.budget import Permit
    from ratedispatch.request import Cost, Request


@dataclass(eq=False, slots=True)
class Life:
    """A request on its way, from its arrival to its outcome."""

    request: Request
    cost: Cost
    place: int
    lane: Lane
    permit: Permit | None = None
    task: asyncio.Task[Any] | None = None
    attempts: int = 0
    timeouts: int = 0
    is_mapped: bool = False
    """One of the many of a ``map``, rather than a ``submit`` of its own."""
    resting: bool = False
    """Neither in the line nor in flight: asleep before another attempt."""
    is_interrupted: bool = False
    """Its task was cancelled by a stop: once, so that whoever awaits it is told of the stop."""
    clock: asyncio.Timeout | None = None
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt went."""

    ruling: Ruling
    response: Response | None
    latency: float
    error: BaseException | None = None
    usage: Usage | None = None


def outcome_of(life: Life, result: Result) -> Outcome:
    """Return what the caller gets of *life*, whose last attempt went as *result* says."""
    ruling, response = result.ruling, result.response
    if ruling.decision is Decision.ANSWERED:
        assert response is not None
        return Completed(
            life.request, response, life.cost, result.usage, life.attempts, result.latency
        )
    return Failed(life.request, ruling.code, ruling.message, response, life.attempts, result.error)


def overdue(life: Life, now: float) -> AttemptTimeout:
    """Return the error of an attempt that took until *now*, in seconds of the loop."""
    return AttemptTimeout(f"no answer within {now - life.started:.0f} s")
