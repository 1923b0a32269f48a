"""A queue and its buckets at one instant. Values only."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ratedispatch.pacing import bottleneck

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Level:
    """
    One bucket at one instant.

    Args:
        dimension: As in `Rate`: ``requests``, ``tokens``, ….
        per_minute: The limit in force; infinite while a limit to be learned is not known.
        available: What may be spent now; below zero while in debt.
        spent: What has been spent since the start.
        share: The share of the limit that was spent in the last seconds.
        used: The same since the start: the share spent of what flowed in between the first request
            and the last, the last one excluded; None before there are two.
        others: What other clients seem to use of it, per minute.
        group: The group of models that it limits; empty if all models share the limits.
        limit: The limit as given: per minute, or per day.
        per_second: The rate at which the bucket refills, known or not.
        returned: How much of what was spent came back, because answers were shorter than reserved.
        burst: The most that may be spent at once without debt; 0 if not known.
        held: What is held back until the provider has admitted something.
        elsewhere: What other processes that share it take from it now, per second.
        piled: The surplus at the provider, which may be spent step by step; 0 if there is none or
            it is not known.
    """

    dimension: str
    per_minute: float
    available: float
    spent: float
    share: float = 0.0
    used: float | None = None
    others: float = 0.0
    group: str = ""
    limit: float = math.inf
    per_second: float = math.inf
    returned: float = 0.0
    burst: float = 0.0
    held: float = 0.0
    elsewhere: float = 0.0
    piled: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    A queue at one instant.

    Args:
        in_flight: Requests in flight.
        max_in_flight: Maximum number in flight.
        waiting: Requests in the queue.
        paused: Seconds for which the queue still pauses.
        levels: One for each bucket.
        binding: The bottleneck of the last seconds: the dimension of a limit, ``in_flight``,
            ``pause``, ``refusals``, ``unreachable``, or ``nothing_waiting``.
        held: For how many seconds since the start each of these was the bottleneck.
        is_doubling: Whether the maximum number in flight still doubles when it is reached.
    """

    in_flight: int
    max_in_flight: int
    waiting: int
    paused: float
    levels: tuple[Level, ...]
    binding: str = bottleneck.NOTHING
    held: Mapping[str, float] = field(default_factory=dict)
    is_doubling: bool = False

    @property
    def used(self) -> dict[str, float]:
        """The share of each limit used since the start, by dimension; the largest, if several."""
        found: dict[str, float] = {}
        for level in self.levels:
            if level.used is not None:
                found[level.dimension] = max(found.get(level.dimension, 0.0), level.used)
        return found


def busiest(states: Sequence[Snapshot]) -> Snapshot:
    """Return that of *states* with the longest queue."""
    nothing = Snapshot(0, 0, 0, 0.0, ())
    return max(states, key=lambda state: (state.waiting, state.in_flight), default=nothing)


def together(states: Sequence[Snapshot]) -> Snapshot:
    """Return *states* as one; its bottleneck is that of the busiest."""
    if len(states) == 1:
        return states[0]
    return Snapshot(
        sum(state.in_flight for state in states),
        sum(state.max_in_flight for state in states),
        sum(state.waiting for state in states),
        min((state.paused for state in states), default=0.0),
        tuple(level for state in states for level in state.levels),
        busiest(states).binding,
        dict(sum((Counter(state.held) for state in states), Counter())),
        any(state.is_doubling for state in states),
    )
