"""
What the search for a number in flight keeps of a request and of many. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import ceil, log, nan, sqrt
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
        noise: The variance of *latency*, as if answers were independent of one another: those of
            a server that is full are not, so it is too small there.
    """

    in_flight: float
    latency: float
    answered: float = nan
    noise: float = 0.0

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

    def uncertainty(self, other: Reading) -> float:
        """Return the standard deviation of the elasticity between here and *other*."""
        width = abs(other.in_flight - self.in_flight)
        return sqrt(self.noise + other.noise) / width if width > _NARROWEST else 0.0


def full_between(low: float, high: float, elasticity: float) -> float:
    """
    Return where a server is full that shows *elasticity* between two numbers; all as ln.

    It is idle below and queues above: throughput grows in proportion up to there, then stays.
    """
    return low + (high - low) * min(1.0, max(0.0, elasticity))


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
    squares: float = 0.0

    def add(self, latency: float, in_flight: int) -> None:
        """Count an answer that took *latency* seconds, sent when so many were in flight."""
        self.ended += 1
        self.latency += latency
        self.in_flight += in_flight
        self.squares += latency * latency

    def reading(self, now: float) -> Reading:
        """Return the means at the instant *now*; at least one answer is needed."""
        seconds = nan if self.since is None else now - self.since
        answered = log(self.ended / seconds) if seconds > 0 else nan
        means = log(self.in_flight / self.ended), log(self.latency / self.ended)
        # that of the mean, relative to it: to first order the variance of its logarithm
        noise = self.squares / self.latency**2 - 1 / self.ended
        return Reading(*means, answered, max(0.0, noise))


def answers_needed(phase: Phase, limit: int, tuning: AdaptiveTuning, *, is_first: bool) -> int:
    """Return of how many answers a reading is made; *is_first* says whether it opens a pair."""
    if phase is Phase.CLIMBING:
        return max(tuning.fewest_answers, ceil(tuning.answers_per_place * limit))
    fewest = tuning.fewest_answers_doubling
    if phase is Phase.HALVING:
        fewest *= 2  # halving without need loses half of the throughput
    elif is_first:
        fewest = 1  # it keeps counting while the double is tried
    return max(fewest, ceil(tuning.answers_per_place_doubling * limit))
