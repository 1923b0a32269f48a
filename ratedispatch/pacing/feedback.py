"""
What an attempt says about its route: one message for each permit.

Values only. The sender turns an answer into a `Feedback`; the admission and the budget turn that
into `Change` values, which are told to listeners after the state is whole.
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
    """A real answer; its latency counts."""
    REFUSED = "refused"
    """The provider refused it for its rate or its load, and did not charge it."""
    FAILED = "failed"
    """It failed otherwise, or was given up; the provider has charged it."""
    UNSENT = "unsent"
    """It never reached the provider: everything it paid is given back."""


class Strain(enum.Enum):
    """Why a server refused although no limit is exceeded."""

    OVERLOADED = "overloaded"
    """It may be at its end, by its speed or by what is in flight, or only unwell."""
    QUEUE_FULL = "queue_full"
    """It asks for fewer requests in flight."""


class Verdict(enum.Enum):
    """What a refusal was found to be about."""

    LINE = "line"
    """The speed of all: the queue waits, and the request keeps its rank in it."""
    UNTESTED = "untested"
    """The same, as far as can be told: twice this request, and nothing else was sent in between.
    It steps aside for a moment, so that others are the test."""
    ROOM = "room"
    """The number in flight: fewer are sent at once; the request waits for what it was told."""
    ODD = "odd"
    """Nothing that we do: the request is tried again as after any error of the server."""
    ALONE = "alone"
    """This request: others are answered. It steps aside, and is given up after a few."""
    LEFT = "left"
    """This request, as far as can be told: it was refused for minutes, others were answered before,
    and nothing else is left to be the test."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """
    Everything that an attempt says about its route.

    Args:
        end: How it ended.
        usage: What it used, if that is known.
        readings: What the response says about the provider's buckets; None without a response.
        delay: Seconds that a refusal asks to wait; None if it does not say.
        dimension: The limit that refused, as `Reading` names it; None if it does not say.
        strain: Why a refusal is about load rather than a limit; None if it is about a limit.
        row: A number of the request's own, the same for all its attempts; None if it has none.
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
    What has become of limits that are shared with other processes, in a sentence.

    Args:
        text: The sentence.
        others: How many others share them, when this process begins to; None for what comes later.
    """

    text: str
    others: int | None = None


Change = LimitChange | Pause | SharingChange
