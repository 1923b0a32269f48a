"""
What the search for a number in flight keeps of a request and of many. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import log
from typing import NamedTuple


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
    """The logarithms of the mean number in flight and of the mean latency in seconds."""

    in_flight: float
    latency: float

    @property
    def throughput(self) -> float:
        """By Little's law, as ln of answers per second."""
        return self.in_flight - self.latency


@dataclass(slots=True)
class Sums:
    """What a number held has brought so far: answers, their seconds, and those in flight."""

    ended: int = 0
    latency: float = 0.0
    in_flight: int = 0

    def add(self, latency: float, in_flight: int) -> None:
        """Count an answer that took *latency* seconds, sent when so many were in flight."""
        self.ended += 1
        self.latency += latency
        self.in_flight += in_flight

    def reading(self) -> Reading:
        """Return the means; at least one answer is needed."""
        return Reading(log(self.in_flight / self.ended), log(self.latency / self.ended))
