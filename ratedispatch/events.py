"""
The events that listeners are told: progress bars, logs and reports are made of them.

Values only. A listener is a plain callable, and must be quick. One that raises is logged once and
changes nothing. One that has a set of event types in ``listens_to`` is told only these.
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
    An attempt has left: its permit is paid.

    Args:
        request: What was sent.
        attempt: 1 for the first attempt.
        cost: What was reserved for it.
        waited: Seconds in the queue.
        at: Loop time in seconds.
        route: The group of models or the member of a pool; empty if there is only one place.
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
    An attempt has an answer or has broken.

    Args:
        request: What was sent.
        attempt: 1 for the first attempt.
        cost: What was reserved for it.
        status: HTTP status, or ``None`` if no answer came.
        decision: What is made of it.
        code: The reason, if it is not answered.
        latency: Seconds from sending to the whole answer.
        at: Loop time in seconds.
        route: As in :class:`AttemptSent`.
        usage: The tokens that the answer reports, if it does.
        readings: What the answer says about the provider's buckets; nothing where another process
            of the job has read it.
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
    """The queue (of a group of models) pauses for *seconds* because of *code*."""

    seconds: float
    code: str
    at: float
    group: str = ""


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """A request has its outcome."""

    outcome: Outcome
    at: float


@dataclass(frozen=True, slots=True)
class RequestSkipped:
    """
    A request of a `map` was left unanswered, because nothing more is sent on its route.

    Args:
        request: As it was submitted.
        attempts: Times it was sent.
        at: Loop time in seconds.
    """

    request: Request
    attempts: int
    at: float


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """
    Another limit is in force: the provider has said so, or its refusals have shown it.

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
    What has become of limits that are shared with other processes.

    Args:
        message: In a sentence.
        group: The group of models whose limits they are; empty if they all share theirs.
        at: Loop time in seconds.
        others: How many others share them, when this process begins to; None for what comes later.
    """

    message: str
    group: str
    at: float
    others: int | None = None


@dataclass(frozen=True, slots=True)
class RouteStopped:
    """
    A member of a pool is left alone for a while; the others go on.

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
    """A member of a pool that was left alone has answered, and is used again."""

    route: str
    at: float


@dataclass(frozen=True, slots=True)
class ProcessLost:
    """
    Of a job in several processes, one has ended by itself: killed, or out of memory.

    Args:
        process: Its number, from 1.
        message: What has ended it and what becomes of its rows, in a sentence.
        at: Loop time in seconds.
    """

    process: int
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class JobStopped:
    """
    A job has stopped before its last row; told last, once everything is written.

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
