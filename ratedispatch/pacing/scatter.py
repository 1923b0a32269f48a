"""
Decides whether refusals are scattered singly among admitted requests, or occur close together.

Only the order of sending counts. A limit that is exceeded refuses a large part of the requests, and
continues to do so until they slow down; random refusals leave many requests between two of them
unaffected. So it is safe to continue at full speed after a single refusal: if it was a limit, the
next few requests show it. Pure; knows no instants.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScatterTuning:
    """
    What can be tuned of the test, which weighs two guesses against each other.

    Args:
        chance_share: The share of attempts that is refused by chance, in the one guess: more
            than most gateways do on a bad day.
        limit_share: The share that is refused by a limit that is exceeded, in the other: with
            less, going on costs fewer requests than slowing down would cost time.
        proof: How many times likelier the other has to be before the queue slows down. By
            chance that happens once in some thousands of refusals; a limit that refuses all
            is found by the fourth, one that refuses half by the sixth or so.
        remembered: Refusals that are examined.
    """

    chance_share: float = 0.03
    limit_share: float = 0.2
    proof: float = 8000.0
    remembered: int = 32


_TUNING = ScatterTuning()


class Scatter:
    """The places of refusals in the order of sending, of one queue."""

    __slots__ = ("_for_admitted", "_for_refused", "_numbers", "_proof", "_remembered")

    def __init__(self, tuning: ScatterTuning = _TUNING) -> None:
        self._numbers: list[int] = []
        self._remembered = tuning.remembered
        self._for_refused = math.log(tuning.limit_share / tuning.chance_share)
        self._for_admitted = math.log((1 - tuning.limit_share) / (1 - tuning.chance_share))
        self._proof = math.log(tuning.proof)

    def refused(self, number: int) -> None:
        """Note that the attempt that was sent as *number* was refused."""
        insort(self._numbers, number)
        if len(self._numbers) > self._remembered:
            del self._numbers[0]

    @property
    def is_dense(self) -> bool:
        """Whether some refusals stand so close together that a limit must be exceeded."""
        weight, last = 0.0, 0
        for number in self._numbers:
            between = max(0, number - last - 1)
            weight = max(0.0, weight + between * self._for_admitted) + self._for_refused
            if weight >= self._proof:
                return True
            last = number
        return False

    def forget(self) -> None:
        """Start over."""
        self._numbers.clear()
