"""
What the search for a number in flight keeps of a request and of many. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import log, nan
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ratedispatch.pacing.concurrency.adaptive_tuning import AdaptiveTuning


#: Numbers closer than this, as ln, are the same.
_NARROWEST = 0.01


class Sent(NamedTuple):
    """A request that has left; to be handed back once, or not at all if it was cancelled."""

    at: float
    epoch: int
    in_flight: int
    is_saturated: bool


class Phase(Enum):
    DOUBLING = 1
    HALVING = 2
    CLIMBING = 3


class Reading(NamedTuple):
    """
    What a number held has shown, as natural logarithms.

    Args:
        in_flight: The mean number in flight.
        latency: The mean latency in seconds.
        answered: Answers a second by the clock; NaN if something else than room held it back.
    """

    in_flight: float
    latency: float
    answered: float = nan

    @property
    def throughput(self) -> float:
        """By Little's law, as ln of answers per second."""
        return self.in_flight - self.latency

    def elasticity(self, other: Reading, tuning: AdaptiveTuning, *, is_timed: bool) -> float:
        """
        Return d ln throughput / d ln in flight from here to *other*.

        Args:
            other: With another number in flight; if it has the same, because the bounds leave no
                room for two, that counts as just worthwhile.
            tuning: The constants.
            is_timed: Whether what the clock shows counts instead if it is clearly less. A loop of
                ours that is busy reads answers late, which looks like the latency of a server
                that has room; but no more of them come.
        """
        width = other.in_flight - self.in_flight
        if abs(width) <= _NARROWEST:
            return tuning.worthwhile_elasticity
        grown = (other.answered - self.answered) / width
        is_less = is_timed and grown < tuning.least_growth
        return grown if is_less else (other.throughput - self.throughput) / width


@dataclass(slots=True)
class Sums:
    """
    What a number held has brought so far: answers, their seconds, and those in flight.

    *since* is when the first request left, NaN once one waited for something else than room.
    """

    ended: int = 0
    latency: float = 0.0
    in_flight: int = 0
    since: float | None = None

    def add(self, latency: float, in_flight: int) -> None:
        """Count an answer that took *latency* seconds, sent when so many were in flight."""
        self.ended += 1
        self.latency += latency
        self.in_flight += in_flight

    def reading(self, now: float) -> Reading:
        """Return the means at the instant *now*; at least one answer is needed."""
        seconds = nan if self.since is None else now - self.since
        answered = log(self.ended / seconds) if seconds > 0 else nan
        means = log(self.in_flight / self.ended), log(self.latency / self.ended)
        return Reading(*means, answered)
