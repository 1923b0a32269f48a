"""
Whether what a provider says of its bucket moves as what we spend.

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
        full_share: A reading at least this share of the most that was ever read counts as that
            of a full bucket, which does not refill.
        refund_memory_requests: Requests after which an observation counts for 1/e when it is
            asked what the provider gives back, which does not change from second to second.
        flat_share: A bucket does not fall at all if it falls by less than this share of what we
            spend.
        least_unused_share: Less than this share unused is not worth telling apart.
        leap_share: What is left may rise by the refill, and a little more by what is given back;
            by this share of the most that was ever read it does not rise but leap.
        least_unit_ratio: Readings that understate by more than this are taken to say nothing.
    """

    memory_seconds: float = 2.0
    memory_requests: float = 16.0
    least_requests: float = 8.0
    orderly_seconds: float = 0.5
    least_ratio: float = 0.5
    full_share: float = 0.9
    refund_memory_requests: float = 64.0
    flat_share: float = 0.3
    least_unused_share: float = 0.3
    leap_share: float = 0.25
    least_unit_ratio: float = 0.05


_TUNING = FilterTuning()


class ReadingFilter:
    """
    What the readings of one dimension are worth.

    Between two readings, used = fall of what remains + refill, and ratio = Σ used / Σ spent,
    where old terms fade exponentially. All amounts are in the unit of the dimension.

    Attributes:
        seen: Readings so far, whatever became of them.
        refunds: Whether the provider seems to give back what turns out unused.
        ratio: What was used at the provider for each unit that we spent; None if not yet known.
        is_correlated: Whether the readings were seen to fall by what we spend, if not by more.
        unit_ratio: What one unit of ours is in the readings' unit, where that is much less
            than one; otherwise 1.
        others: What others use beside us, in units per second.
    """

    __slots__ = (
        "_clear_gone",
        "_clear_requests",
        "_clear_spent",
        "_clear_used",
        "_last_at",
        "_last_charged",
        "_last_number",
        "_last_remaining",
        "_last_returned",
        "_requests",
        "_run_fallen",
        "_run_gone",
        "_run_requests",
        "_run_spent",
        "_seconds",
        "_spent",
        "_top",
        "_tuning",
        "_used",
        "is_correlated",
        "others",
        "ratio",
        "refunds",
        "seen",
        "unit_ratio",
    )

    def __init__(self, tuning: FilterTuning = _TUNING) -> None:
        self.seen = 0
        self.refunds = False
        self._top = 0.0
        self._tuning = tuning
        self.forget()

    def forget(self) -> None:
        """Start over: what was seen so far no longer proves anything."""
        self._last_at = math.nan
        self._last_charged = self._last_returned = self._last_remaining = 0.0
        self._last_number = 0
        self._requests = self._seconds = self._spent = self._used = 0.0
        self._clear_requests = self._clear_spent = self._clear_gone = self._clear_used = 0.0
        self._run_fallen = self._run_requests = self._run_spent = self._run_gone = 0.0
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
            charged: What we had spent by then, this request included.
            returned: What of that had turned out unused by then.
            number: How many requests we had sent by then, this one included.
        """
        tuning = self._tuning
        self.seen += 1
        self._top = top = max(self._top, remaining)
        elapsed = at - self._last_at
        refill = per_second * max(elapsed, 0.0)
        if remaining - self._last_remaining - refill > tuning.leap_share * top:
            self.forget()  # a counter has started again, or another one is shown
        elif elapsed >= 0:  # not the first
            spent = charged - self._last_charged
            fallen = self._last_remaining - remaining
            used = fallen + per_second * elapsed
            requests = number - self._last_number
            gone = returned - self._last_returned
            if remaining >= tuning.full_share * top:  # what flowed in may have run over
                used = max(fallen, min(used, spent))
                self._run_fallen += fallen
                self._run_requests += requests
                self._run_spent += spent
                self._run_gone += gone
            else:
                self._run_fallen = self._run_requests = self._run_spent = self._run_gone = 0.0
                if self._last_remaining < tuning.full_share * top:
                    fade = math.exp(-requests / tuning.refund_memory_requests)
                    self._clear_requests = self._clear_requests * fade + requests
                    self._clear_spent = self._clear_spent * fade + spent
                    self._clear_gone = self._clear_gone * fade + gone
                    self._clear_used = self._clear_used * fade + used
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
        """
        Compute from the sums what the readings are worth.

        The provider gives back what turns out unused if it stays full while we spend, or if what
        is used is nearer to what was really used than to what we reserved. Where little is unused
        it cannot be told, nor does it matter.
        """
        tuning = self._tuning
        enough = tuning.least_requests
        run_unused = self._run_gone >= tuning.least_unused_share * self._run_spent
        if run_unused and self._run_requests >= 2 * enough:
            self.refunds |= self._run_fallen < tuning.flat_share * self._run_spent
        clear_unused = self._clear_gone >= tuning.least_unused_share * self._clear_spent
        if clear_unused and self._clear_requests >= 2 * enough:
            self.refunds = self._clear_used < self._clear_spent - self._clear_gone / 2
        if self._seconds >= tuning.orderly_seconds:
            enough /= 2
        if self._requests < enough or self._spent < _LEAST_SPENT:
            self.ratio, self.is_correlated, self.unit_ratio, self.others = None, False, 1.0, 0.0
            return
        self.ratio = ratio = max(0.0, self._used / self._spent)
        self.is_correlated = ratio >= tuning.least_ratio
        self.unit_ratio = 1.0 if self.is_correlated else max(ratio, tuning.least_unit_ratio)
        if self._seconds < tuning.memory_seconds / 10:
            self.others = 0.0
        else:
            self.others = max(0.0, (self._used - self._spent) / self._seconds)
