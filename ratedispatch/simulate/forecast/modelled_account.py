"""Models the bucket of a provider, for the model of a queue. Knows instants and amounts only."""

from __future__ import annotations

import math

from ratedispatch.limits import SHORT_WINDOW
from ratedispatch.simulate.provider.windows import MINUTE, SLACK


class ModelledAccount:
    """
    A bucket that starts full and refills all the time, as `TokenBucket` does.

    Args:
        per_second: What flows in.
        depth: What it holds at most.
        told: What flows in as its headers have it, in whole numbers a minute.

    Attributes:
        told: The argument of this name.
        left: What it holds since the last look; below zero while in debt.
    """

    __slots__ = ("_at", "_depth", "_per_second", "left", "told")

    def __init__(self, per_second: float, depth: float, told: float) -> None:
        self._per_second, self._depth, self.told = per_second, depth, told
        self.left, self._at = depth, 0.0

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds for which *amount* is refused now; 0 if it is not."""
        depth, per_second = self._depth, self._per_second
        left = self.left + (now - self._at) * per_second
        self._at = now
        self.left = left = left if left < depth else depth  # noqa: FURB136  # min() takes longer
        missing = (amount if amount < depth else depth) - left  # noqa: FURB136
        return missing / per_second if missing > SLACK else 0.0

    def is_minute(self, left: float) -> bool:
        """
        Return whether its headers show, while it holds *left*, that it fills within two minutes.

        Follows: `ratedispatch.providers.read.headers`, to which a full bucket shows nothing, and
        almost nothing used too little.
        """
        milliseconds = int((self._depth - left) / self._per_second * 1000 + 1e-6)
        limit = self.told * MINUTE
        used = limit - math.floor(left + 1e-6)
        if milliseconds <= 0 or used <= 0:
            return False
        return (milliseconds + 1) / 1000 * limit / used <= SHORT_WINDOW

    def give(self, amount: float, now: float) -> None:
        """Put *amount* back, as far as it has room."""
        self.wait(0.0, now)
        self.left = min(self._depth, self.left + amount)


#: Stands for the bucket of a provider that does not limit something.
def boundless() -> ModelledAccount:
    """Return what stands for a limit that the provider does not have."""
    return ModelledAccount(0.0, math.inf, 0.0)
