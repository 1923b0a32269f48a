"""
What an attempt shows about its route: one message for each permit.

Values only. The sender turns a response into a `Feedback`; the admission and the budget turn that
into `Change` values, which listeners receive after the state has been updated.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.limits import Rate, Reading
    from ratedispatch.outcome import Usage


class End(enum.Enum):
    """How an attempt ended, as far as pacing is concerned."""

    ANSWERED = "answered"
    """It was answered; its latency counts."""
    REFUSED = "refused"
    """The provider refused it for its rate or its load, and did not charge it."""
    FAILED = "failed"
    """It failed in another way, or was given up; the provider has charged it."""
    UNSENT = "unsent"
    """It never reached the provider: everything that it paid is returned."""


class Strain(enum.Enum):
    """Why a server refused although no limit is exceeded."""

    OVERLOADED = "overloaded"
    """It may be overloaded, by the speed or the number in flight, or just failing."""
    QUEUE_FULL = "queue_full"
    """It asks for fewer requests in flight."""


class Verdict(enum.Enum):
    """What a refusal was found to be about."""

    LINE = "line"
    """The speed of all requests: the queue pauses, and the request keeps its rank."""
    UNTESTED = "untested"
    """Probably the speed: this request was refused twice, and nothing else was sent in between.
    It steps aside for a moment, so that other requests are the test."""
    ROOM = "room"
    """The number in flight: it is lowered, and the request waits as long as it was told."""
    ODD = "odd"
    """Nothing that we can change: the request is retried as after any error of the server."""
    ALONE = "alone"
    """This request: others are answered. It steps aside, and fails after a few refusals."""
    LEFT = "left"
    """Probably this request: it was refused for minutes, others were answered before, and nothing
    else is left that could be the test."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """
    Everything that an attempt shows about its route.

    Args:
        end: How it ended.
        usage: What it used, if known.
        readings: What the response says about the provider's buckets; None without a response.
        delay: Seconds that a refusal asks to wait; None if it does not say.
        dimension: The limit that was exceeded, as `Reading` names it; None if not stated.
        strain: Why a refusal is about load rather than a limit; None if it is about a limit.
        row: A number that identifies the request in all its attempts; None if it has none.
    """

    end: End
    usage: Usage | None = None
    readings: tuple[Reading, ...] | None = None
    delay: float | None = None
    dimension: str | None = None
    strain: Strain | None = None
    row: int | None = None


#: An attempt that was given up: what it used is not known.
ABANDONED = Feedback(End.FAILED)

#: An attempt that never left.
UNSENT = Feedback(End.UNSENT)


@dataclass(frozen=True, slots=True)
class LimitChange:
    """Another limit is in force: *rate*."""

    rate: Rate


@dataclass(frozen=True, slots=True)
class Pause:
    """A refusal has begun an episode: the queue pauses for *seconds*."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SharingChange:
    """
    A change in the sharing of limits with other processes, as one sentence.

    Args:
        text: The sentence.
        others: How many other processes share them, when this process begins; None later.
    """

    text: str
    others: int | None = None


Change = LimitChange | Pause | SharingChange
