"""
What is left of a window at whose end a counter starts over, as of a clock minute.

Such a counter does not refill: what has been spent of it comes back at its end and not before. It
may count a request only when that is answered. So what is in flight is taken off whatever it says
is left; and since it may also be behind with what was answered, a later number that is higher is
not believed before the window's end. Pure in the time it is given; knows no bucket and no headers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.spent_window import SpentWindow

if TYPE_CHECKING:
    from ratedispatch.pacing.limit.account import SpendMark


@dataclass(frozen=True, slots=True)
class CountedTuning:
    """
    What can be tuned of the use of such a window.

    Args:
        margin_seconds: Seconds after the end at which it is used again: requests that leave apart
            may arrive together, and clocks differ in their last digits.
        young_seconds: Seconds from the beginning of a window in which a number may still be that
            of the one before: a server tells the time and the number at different instants.
        leap_share: A number that is higher than the lowest by this share of it shows that.
        sharp_seconds: Seconds by which an end that many answers have told may be too late.
        least_answers: Answers that have to confirm what the window promises before more than the
            user's own rate is spent of it.
        least_share: Share of what was answered by which what is left has to have fallen then.
    """

    margin_seconds: float = 0.05
    young_seconds: float = 5.0
    leap_share: float = 0.25
    sharp_seconds: float = 0.2
    least_answers: int = 4
    least_share: float = 0.5


_TUNING = CountedTuning()


class CountedWindow(SpentWindow):
    """
    The window that runs now.

    left = min over its readings of (remaining - in flight then - sent since), and nothing is known
    of it before its first reading. Its end is the earliest that was told: a busy server tells a
    time that is seconds old, and never one to come. What was sent before it began was counted
    then, and only told in this one.

    Attributes:
        is_confirmed: Whether what is left was seen to fall by what was answered.
    """

    __slots__ = (
        "_answers",
        "_began",
        "_end",
        "_first",
        "_lowest",
        "_of_before",
        "_tuning",
        "is_confirmed",
    )

    def __init__(self, tuning: CountedTuning = _TUNING) -> None:
        super().__init__()
        self._tuning = tuning
        self._began = self._end = -math.inf
        self._begin()

    def _begin(self) -> None:
        self.left = math.inf
        self.is_confirmed = False
        self._answers = 0.0
        self._first = self._of_before = 0.0
        self._lowest = math.inf

    def close(self) -> bool:
        """Send nothing more before its end: it has refused. Return that this is why."""
        self.left = min(self.left, 0.0)
        return True

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until *amount* may be sent: none, or those to the end."""
        if amount <= self.left:
            return 0.0
        ends = self._end + self._tuning.margin_seconds
        if now < ends:
            return ends - now
        self._begin()
        return 0.0

    def read(
        self, remaining: float, mark: SpendMark, now: float, *, ends_in: float, period: float
    ) -> None:
        """
        Take a reading into account.

        Args:
            remaining: What the counter says is left.
            mark: Where the request stands whose answer says so.
            now: Seconds of the caller's clock.
            ends_in: Seconds to the end of the window, a second too many at most.
            period: Seconds from its beginning to its end.
        """
        tuning, end, amount = self._tuning, now + ends_in, mark.amount
        known = self._end
        later = math.inf if known == -math.inf else round((end - known) / period)
        if later < 0:
            return  # an answer of a window that is over
        if later:
            # it began where the one before ended, which many answers have told
            is_told = known != -math.inf
            self._begin()
            self._began = -math.inf
            if is_told:
                end = min(end, known + later * period)
                self._began = end - period - tuning.sharp_seconds
            self._end = end
        elif remaining > self._lowest + tuning.leap_share * remaining and (
            now < self._began + tuning.young_seconds
        ):
            self._begin()  # what was read at its beginning was of the one before
        self._end = min(self._end, end)
        since = self._began
        if not self._answers:
            self._first = remaining
        self._lowest = min(self._lowest, remaining)
        fallen = self._first - remaining
        if self._answers >= tuning.least_answers * amount:
            self.is_confirmed = fallen >= tuning.least_share * self._answers
        self._answers += amount
        if mark.sent_at < since:
            self._of_before += amount
            amount = 0.0
        self.left = min(self.left, remaining + self._of_before - mark.in_flight(since) - amount)
