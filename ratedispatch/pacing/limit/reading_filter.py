"""
Checks whether what a provider says about its bucket moves with what we spend.

Tells from successive readings how much is used for each unit we spend, and how much others use
beside us. A header may be wrong in any way: multiplied, of another window, of another bucket. So
what it says counts only as far as it was seen to move with our own spending. Pure arithmetic on
instants; knows no bucket and no headers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Above this ratio, what readings say is left is not ours alone to spend.
MAX_CREDIBLE_RATIO = 1.5

#: Spent less than this, in whatever unit, is nothing.
_LEAST_SPENT = 1e-6

#: What readings of which almost nothing is used are divided by: they say nothing.
_LEAST_RATIO = 1e-6


@dataclass(frozen=True, slots=True)
class FilterTuning:
    """
    What can be tuned of the judgement of readings.

    Args:
        memory_seconds: Seconds after which an observation counts for 1/e, or
        memory_requests: requests, whichever is longer: others come and go within seconds, but a
            slow queue needs minutes to see anything at all.
        least_requests: Requests between the readings that are compared before anything is
            concluded: fewer are within what rounding and overtaking on the way to the provider
            can do. Half of them are enough where they are spread over
        orderly_seconds: so many seconds that none can have overtaken another.
        least_ratio: Below this share of what we spend, readings are not taken to speak of our own
            bucket in our own unit; a provider may count somewhat differently.
        full_share: A level from this share of the most that was ever read on may be that of a
            full bucket: what flows in may run over, and was not taken by anybody.
        leap_share: What is left may rise by the refill, and a little more by what is given back;
            by this share of the most that was ever read it does not rise but leap.
    """

    memory_seconds: float = 2.0
    memory_requests: float = 16.0
    least_requests: float = 8.0
    orderly_seconds: float = 0.5
    least_ratio: float = 0.5
    full_share: float = 0.9
    leap_share: float = 0.25


_TUNING = FilterTuning()


class ReadingFilter:
    """
    What the readings of one dimension are worth.

    Between two readings, used = fall of what remains + refill, and ratio = Σ used / Σ spent,
    where old terms fade exponentially. All amounts are in the unit of the dimension.

    Attributes:
        seen: Readings so far, whatever became of them.
        ratio: What was used at the provider for each unit that we spent; None if not yet known.
        is_correlated: Whether the readings were seen to fall by what we spend, if not by more.
        unit_ratio: What one unit of ours is in the readings' unit, where that is much less
            than one; otherwise 1.
        others: What others use beside us, in units per second.
    """

    __slots__ = (
        "_before",
        "_before_at",
        "_last_at",
        "_last_charged",
        "_last_number",
        "_last_remaining",
        "_last_returned",
        "_requests",
        "_seconds",
        "_spent",
        "_top",
        "_tuning",
        "_used",
        "is_correlated",
        "others",
        "ratio",
        "seen",
        "unit_ratio",
    )

    def __init__(self, tuning: FilterTuning = _TUNING) -> None:
        self.seen = 0
        self._top = 0.0
        self._tuning = tuning
        self.forget()

    def forget(self) -> None:
        """Start over: what was seen so far no longer proves anything."""
        self._last_at = math.nan
        self._before_at, self._before = -math.inf, 0.0
        self._last_charged = self._last_returned = self._last_remaining = 0.0
        self._last_number = 0
        self._requests = self._seconds = self._spent = self._used = 0.0
        self.ratio: float | None = None
        self.is_correlated = False
        self.unit_ratio = 1.0
        self.others = 0.0

    def add(
        self,
        remaining: float,
        per_second: float,
        *,
        at: float,
        charged: float,
        returned: float,
        number: int,
    ) -> None:
        """
        Add a reading; readings come in the order in which their requests were sent.

        Args:
            remaining: What the provider says is left.
            per_second: How fast it says that its bucket refills.
            at: When the request left, in seconds of the caller's clock.
            charged: What we had been charged by then, this request included.
            returned: What of that had come back by then.
            number: How many requests we had sent by then, this one included.
        """
        tuning = self._tuning
        self.seen += 1
        self._top = top = max(self._top, remaining)
        elapsed = at - self._last_at
        refill = per_second * max(elapsed, 0.0)
        if not at - self._before_at < tuning.orderly_seconds:  # not a number at first
            self._before_at, self._before = self._last_at, self._last_remaining
        # of requests that left together the last may have arrived first
        expected = max(self._last_remaining, self._before) + refill
        if remaining - expected > tuning.leap_share * top:
            self.forget()  # a counter has started again, or another one is shown
        elif elapsed >= 0:  # not the first
            inflow = refill + returned - self._last_returned
            spent = charged - self._last_charged - inflow + refill
            used = self._last_remaining - remaining + refill
            requests = number - self._last_number
            # it may have run over where it could be full by then, and is after that as full
            full = tuning.full_share * top
            ran_over = self._last_remaining + inflow - full
            if ran_over > 0 and used > spent and remaining + spent >= full:
                used = max(spent, used - min(ran_over, inflow))
            age = min(elapsed / tuning.memory_seconds, requests / tuning.memory_requests)
            keep = math.exp(-age)
            self._requests = self._requests * keep + requests
            self._seconds = self._seconds * keep + elapsed
            self._spent = self._spent * keep + spent
            self._used = self._used * keep + used
            self._conclude()
        self._last_at, self._last_charged, self._last_returned = at, charged, returned
        self._last_remaining, self._last_number = remaining, number

    def _conclude(self) -> None:
        """Compute from the sums what the readings are worth."""
        tuning = self._tuning
        enough = tuning.least_requests
        if self._seconds >= tuning.orderly_seconds:
            enough /= 2
        if self._requests < enough or self._spent < _LEAST_SPENT:
            self.ratio, self.is_correlated, self.unit_ratio, self.others = None, False, 1.0, 0.0
            return
        self.ratio = ratio = max(0.0, self._used / self._spent)
        self.is_correlated = ratio >= tuning.least_ratio
        self.unit_ratio = 1.0 if self.is_correlated else max(ratio, _LEAST_RATIO)
        if self._seconds < tuning.memory_seconds / 10:
            self.others = 0.0
        else:
            self.others = max(0.0, (self._used - self._spent) / self._seconds)
