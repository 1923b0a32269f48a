"""
Decides whether refusals were an outage that is over.

A limit that is exceeded admits what flows in, or a whole window at a time, and soon refuses again.
A server that refused everything for a while and then answers was unavailable: a rate learned from
its refusals is wrong. Depends only on the instants that it is given, in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlackoutTuning:
    """
    What can be tuned of the judgement.

    Args:
        fewest: Refusals in the order of sending, with nothing admitted in between.
        shortest_seconds: From the first of them to the first request that is answered: a limit on
            a rate has admitted something by then.
        repeating_seconds: Another one that begins so soon after the last is the next window of a
            limit: two of the longest windows of a minute.
    """

    fewest: int = 4
    shortest_seconds: float = 1.0
    repeating_seconds: float = 120.0


_TUNING = BlackoutTuning()


class Blackout:
    """The latest refusals of one queue with nothing admitted in between."""

    __slots__ = ("_began", "_count", "_ended", "_last", "_tuning")

    def __init__(self, tuning: BlackoutTuning = _TUNING) -> None:
        self._tuning = tuning
        self._count = 0
        self._began = 0.0
        self._last = 0
        self._ended = -math.inf

    def refused(self, number: int, sent_at: float) -> None:
        """Note that the attempt sent as *number* at *sent_at* was refused."""
        if number > self._last + 1 and not self._is_long(sent_at):
            self._count, self._began = 0, sent_at
        if number <= self._last + 1:
            self._count += 1
            self._last = max(self._last, number)
        elif not self._count:
            self._count, self._last = 1, number

    def is_over(self, number: int, sent_at: float) -> bool:
        """Return whether the answer to *number*, sent at *sent_at*, ends an outage."""
        if not self._count or number <= self._last:
            return False
        is_outage = self._is_long(sent_at)
        self._count = 0
        if is_outage:
            is_repeated = self._began - self._ended < self._tuning.repeating_seconds
            self._ended = sent_at
            return not is_repeated
        return False

    def _is_long(self, now: float) -> bool:
        tuning = self._tuning
        return self._count >= tuning.fewest and now - self._began >= tuning.shortest_seconds
