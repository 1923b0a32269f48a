"""
What the search for a number in flight keeps of a request and of many. Values only.
"""

from __future__ import annotations

from enum import Enum
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
