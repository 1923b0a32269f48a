"""
Holds back a part of a bucket until the provider has admitted something.

A provider's bucket may be empty when we come, and a request that has left can no longer be held
back. So little goes at first, and the rest follows with the first answer, or after a short time
without a refusal. Knows instants and amounts; no bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.limits import Rate

#: Share of the burst that is worth holding back; less is what rounding has left.
_LEAST_HELD_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class OpeningTuning:
    """
    What can be tuned of the opening.

    Args:
        opening_seconds: Seconds of rate that are spent before the first answer.
        quiet_seconds: Seconds without a refusal after which what was sent counts as admitted: a
            refusal would not have waited for a model.
    """

    opening_seconds: float = 0.1
    quiet_seconds: float = 0.5


_TUNING = OpeningTuning()


class Opening:
    """
    The part of a bucket that is held back.

    At the start all but max(first amount, min(burst, opening seconds × rate)) is held back.

    Attributes:
        held: What is held back now.
        quiet_at: When it is let go, if no refusal has come; None if only an answer lets it go.
    """

    __slots__ = ("_held_until", "_tuning", "held", "quiet_at")

    def __init__(self, tuning: OpeningTuning = _TUNING) -> None:
        self.held = 0.0
        self.quiet_at: float | None = None
        self._held_until = 0.0
        self._tuning = tuning

    def start(self, now: float, amount: float, *, available: float, rate: Rate) -> float:
        """Hold back most of what is *available*; return what may go, at least *amount*."""
        opening = max(amount, min(rate.burst, rate.per_second * self._tuning.opening_seconds))
        self.held = max(0.0, available - opening)
        self.quiet_at = now + self._tuning.quiet_seconds
        return opening

    def hold(self, amount: float, until: float) -> None:
        """Hold *amount* back until something that is sent at *until* or later is answered."""
        self.held, self._held_until = amount, until

    def fill(self, missing: float, burst: float) -> None:
        """Hold back no more than is *missing*: what has flowed in replaces the rest."""
        held = min(self.held, missing)
        self.held = held if held > _LEAST_HELD_SHARE * burst else 0.0

    def release(self, sent_at: float) -> float:
        """Return the amount released by an answer to a request sent at *sent_at*."""
        if sent_at < self._held_until:
            return 0.0
        released, self.held = self.held, 0.0
        return released

    def drop(self) -> None:
        """Stop holding back, and let nothing go: a refusal has come."""
        self.held, self.quiet_at = 0.0, None
