"""
Scheduled events at a provider: new limits, and another client's requests.

Decides instants only. Nothing runs by itself: the provider looks here when a request arrives.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.simulate.settings import ProviderSettings


class Event(NamedTuple):
    """
    A scheduled event.

    Args:
        at: Loop time in seconds.
        limits: The limits per minute from then on, on requests and tokens; None if it is a
            request of the other client instead.
    """

    at: float
    limits: tuple[float | None, float | None] | None


@dataclass(slots=True)
class Competitor:
    """
    The books of another client of the same account.

    Args:
        admitted: Its requests that were charged.
        refused: Those that were not, and are not sent again.
        tokens: What the admitted ones were charged.
    """

    admitted: int = 0
    refused: int = 0
    tokens: int = 0


def make_events(settings: ProviderSettings, start: float) -> Iterator[Event]:
    """
    Yield everything that happens from *start* (loop time in seconds), in order of time.

    Of what happens at the same instant new limits come first. Has no end when the other client
    has none.
    """
    changes = (Event(start + at, (requests, tokens)) for at, requests, tokens in settings.changes)
    return heapq.merge(changes, _competitor(settings, start), key=lambda event: event.at)


def _competitor(settings: ProviderSettings, start: float) -> Iterator[Event]:
    begins = [begin for begin, _ in settings.competitor] + [math.inf]
    for (begin, rate), end in zip(settings.competitor, begins[1:], strict=True):
        if rate == 0:
            continue
        for number in itertools.count():
            at = begin + number * 60.0 / rate
            # 1 ns: a request due at the very instant of the next rate is that rate's
            if at >= end - 1e-9:
                break
            yield Event(start + at, None)
