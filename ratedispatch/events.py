"""
What listeners are told: progress bars, logs and reports all hang on these.

Values only. A listener is a plain callable; it must be quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.limits import Rate
    from ratedispatch.outcome import Decision, Outcome
    from ratedispatch.request import Cost, Request


@dataclass(frozen=True, slots=True)
class AttemptSent:
    """
    An attempt has left: its permit is paid.

    Args:
        request: What was sent.
        attempt: 1 for the first attempt.
        cost: What was reserved for it.
        waited: Seconds it stood in the line.
        at: Loop time in seconds.
    """

    request: Request
    attempt: int
    cost: Cost
    waited: float
    at: float


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
    """

    request: Request
    attempt: int
    cost: Cost
    status: int | None
    decision: Decision
    code: str
    latency: float
    at: float


@dataclass(frozen=True, slots=True)
class LinePaused:
    """The whole line (of a group of models) pauses for *seconds* because of *code*."""

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


Event = AttemptSent | AttemptEnded | LinePaused | LimitChanged | RequestEnded
Listener = Callable[[Event], None]
