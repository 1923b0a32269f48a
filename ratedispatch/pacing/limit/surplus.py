"""
Decides how much of the surplus at the provider is spent at once.

Bounds what a reading proves in two ways: by a slow start, because a header may promise what the
server does not keep, and by an allowance, because no minute shall use more than twice the user's
limit. Knows instants and amounts; no bucket and no headers.

Follows: slow start of TCP (RFC 5681).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class SurplusTuning:
    """
    What can be tuned of the use of surplus.

    Args:
        reserve_seconds: Seconds of rate that are left in the provider's bucket however much it
            is proven to hold: requests that leave our machine apart may arrive together.
        sure_reserve_seconds: The same where the predictions of one charge rule come true, or where
            requests are counted and others use almost none of them, so that nothing but the times
            of arrival is uncertain.
        quiet_seconds: Seconds without a refusal after which the last step counts as admitted: a
            refusal would not have waited for a model.
        step_factor: What the step is multiplied by after an answer to what was sent since the
            last one: doubling with every round trip, as TCP does.
        distrust_seconds: Seconds after a refusal in spite of a header that promised room, in
            which no header is believed to prove budget beyond the burst. Doubles with each.
    """

    reserve_seconds: float = 0.25
    sure_reserve_seconds: float = 0.05
    quiet_seconds: float = 0.5
    step_factor: float = 2.0
    distrust_seconds: float = 60.0


_TUNING = SurplusTuning()


class Surplus:
    """
    A slow start and an allowance.

    The first step is the burst; each is twice the last. A server that enforces its limit over a
    second may report what is left of the minute, so the next step needs an answer to what was
    sent since the last, or some time without a refusal.

    The allowance is what a bucket of the user's own would hold, a minute deep and full at the
    start: allowance = min(limit, allowance + limit / 60 × elapsed − spent + returned).
    However much the provider has, no minute uses more than twice the user's limit, and no hour
    more than one minute's worth more than sixty. What turned out unused, because it was reserved
    with caution, is not held against it.

    Attributes:
        is_sure: Whether what a request is charged is known exactly.
        step: What may be spent beyond the bucket's own at once.
        not_before: The instant before which nothing is believed to have piled up.
        last: When the last step was made; an answer to what was sent then, or later, allows the
            next one.
        quiet_at: When the next step is allowed without such an answer.
    """

    __slots__ = (
        "_allowed",
        "_allowed_at",
        "_distrust",
        "_net",
        "_tuning",
        "is_sure",
        "last",
        "not_before",
        "quiet_at",
        "step",
    )

    def __init__(self, burst: float, tuning: SurplusTuning = _TUNING) -> None:
        self._tuning = tuning
        self.is_sure = False
        self.restart(burst)
        self._distrust = tuning.distrust_seconds
        self._allowed = 0.0
        self._allowed_at: float | None = None
        self._net = 0.0

    @property
    def reserve_seconds(self) -> float:
        """Seconds of rate that are left in the provider's bucket."""
        tuning = self._tuning
        return tuning.sure_reserve_seconds if self.is_sure else tuning.reserve_seconds

    def restart(self, burst: float, *, not_before: float = 0.0, last: float = -math.inf) -> None:
        """Begin again with a step of *burst*, as if one had been made at the instant *last*."""
        self.step, self.not_before, self.last = burst, not_before, last
        self.quiet_at = last + self._tuning.quiet_seconds

    def learned(self) -> tuple[float, ...]:
        """Return where the slow start stands; the last three are instants."""
        return self.step, self._distrust, self.not_before, self.last, self.quiet_at

    def learn(self, numbers: Sequence[float]) -> None:
        """Go on where another `Surplus` of the same limit stands."""
        self.step, self._distrust, self.not_before, self.last, self.quiet_at = numbers

    def distrust(self, now: float) -> None:
        """Believe no header for a while, twice as long each time."""
        self.not_before = now + self._distrust
        self._distrust *= 2

    def advance(self, now: float) -> None:
        """Make the next step larger than the one that was just made."""
        tuning = self._tuning
        self.step *= tuning.step_factor
        self.last, self.quiet_at = now, now + tuning.quiet_seconds

    def allowance(self, now: float, *, limit: float, net: float) -> float:
        """
        Return what the user's own bucket holds.

        Args:
            now: Seconds of the caller's clock.
            limit: What flows into it in a minute, and what it holds at most.
            net: What was spent since the start, less what turned out unused.
        """
        self._allowed = self.allowed(now, limit=limit, net=net)
        self._allowed_at, self._net = now, net
        return self._allowed

    def allowed(self, now: float, *, limit: float, net: float) -> float:
        """Return the same for an observer; nothing is changed by that."""
        if self._allowed_at is None:
            return limit
        flowed = limit / 60 * (now - self._allowed_at)
        return min(limit, self._allowed + flowed - net + self._net)
