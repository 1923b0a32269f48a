"""
The events that listeners receive; progress bars, logs and reports are made from them.

Values only. A listener is a plain callable and must return quickly. A listener that raises is
logged once and changes nothing. A listener with a set of event types in ``listens_to`` receives
only these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.limits import Rate, Reading
    from ratedispatch.outcome import Decision, Outcome, Usage
    from ratedispatch.request import Cost, Request


@dataclass(frozen=True, slots=True)
class AttemptSent:
    """
    An attempt is sent: its permit has been paid for.

    Args:
        request: The request that was sent.
        attempt: 1 for the first attempt.
        cost: The cost reserved for it.
        waited: Seconds spent in the queue.
        at: Loop time in seconds.
        route: The group of models or the member of a pool; empty if there is only one route.
    """

    request: Request
    attempt: int
    cost: Cost
    waited: float
    at: float
    route: str = ""


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """
    An attempt has ended, with or without a response.

    Args:
        request: The request that was sent.
        attempt: 1 for the first attempt.
        cost: The cost reserved for it.
        status: HTTP status, or ``None`` if no response came.
        decision: What to do about it.
        code: The reason, if it was not answered.
        latency: Seconds from sending it to the end of the response.
        at: Loop time in seconds.
        route: As in :class:`AttemptSent`.
        usage: The tokens that the answer reports, if any.
        readings: What the response says about the provider's buckets; empty if another process of
            the job read it.
    """

    request: Request
    attempt: int
    cost: Cost
    status: int | None
    decision: Decision
    code: str
    latency: float
    at: float
    route: str = ""
    usage: Usage | None = None
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class QueuePaused:
    """
    The queue pauses after a refusal.

    Args:
        seconds: For how long, from *at* on.
        code: The code of the refusal.
        at: Loop time in seconds.
        group: The group of models whose queue it is; empty if there is only one queue.
    """

    seconds: float
    code: str
    at: float
    group: str = ""


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """
    A request has its outcome.

    Args:
        outcome: The outcome.
        at: Loop time in seconds.
    """

    outcome: Outcome
    at: float


@dataclass(frozen=True, slots=True)
class RequestSkipped:
    """
    A request of a `map` stays unanswered, because nothing more is sent on its route.

    Args:
        request: The request as submitted.
        attempts: How often it was sent.
        at: Loop time in seconds.
    """

    request: Request
    attempts: int
    at: float


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """
    The limit in force has changed, because headers or refusals of the provider show another one.

    Args:
        rate: The limit from now on.
        group: The group of models that it is for; empty if they all share their limits.
        at: Loop time in seconds.
    """

    rate: Rate
    group: str
    at: float


@dataclass(frozen=True, slots=True)
class SharingChanged:
    """
    The sharing of limits with other processes has begun or changed.

    Args:
        message: What happened, in one sentence.
        group: The group of models whose limits they are; empty if they all share theirs.
        at: Loop time in seconds.
        others: How many other processes share them, when this process begins; None later.
    """

    message: str
    group: str
    at: float
    others: int | None = None


@dataclass(frozen=True, slots=True)
class RouteStopped:
    """
    A member of a pool is not used for a while; the other members are.

    Args:
        route: Its name.
        code: Why, for machines.
        message: Why, in a sentence.
        at: Loop time in seconds.
    """

    route: str
    code: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class RouteResumed:
    """
    A member of a pool that was not used for a while has answered, and is used again.

    Args:
        route: Its name.
        at: Loop time in seconds.
    """

    route: str
    at: float


@dataclass(frozen=True, slots=True)
class ProcessLost:
    """
    One process of a job with several processes has ended early: killed, or out of memory.

    Args:
        process: Its number, from 1.
        message: What ended it and what happens to its rows, in one sentence.
        at: Loop time in seconds.
    """

    process: int
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class JobStopped:
    """
    A job has stopped before its last row. This is its last event, after everything is written.

    Args:
        code: Why, for machines.
        message: Why, in a sentence.
        at: Loop time in seconds.
    """

    code: str
    message: str
    at: float


Event = (
    AttemptSent
    | AttemptEnded
    | QueuePaused
    | LimitChanged
    | SharingChanged
    | RequestEnded
    | RequestSkipped
    | RouteStopped
    | RouteResumed
    | ProcessLost
    | JobStopped
)
Listener = Callable[[Event], None]
