"""
What is left of a window whose counter counts requests when they arrive, as web rate limiters do.

Its length need not be known: it is at least as long as the longest time to its end that was told.
Whatever it says may be wrong, so nothing waits for its end before it was seen to count what we
send, or has refused. Pure in the time it is given; knows no bucket and no headers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.limits import SHORT_WINDOW
from ratedispatch.pacing.limit.spent_window import SpentWindow

if TYPE_CHECKING:
    from ratedispatch.limits import Reading
    from ratedispatch.pacing.limit.account import SpendMark


@dataclass(frozen=True, slots=True)
class ArrivalTuning:
    """
    What can be tuned of the use of such a window.

    Args:
        margin_seconds: Seconds after the end at which it is used again: requests that leave apart
            may arrive together.
        shortest_seconds: A window that seems shorter than this is not known, unless it is told:
            its end is told in whole seconds.
        rounding_seconds: Seconds by which two ends of the same window may differ.
        least_answers: Answers that have to confirm the counter.
        least_share: Share of what was answered by which what is left has to have fallen.
        expected_left: So much may seem to be left at a refusal that the counter explains.
    """

    margin_seconds: float = 0.05
    shortest_seconds: float = 5.0
    rounding_seconds: float = 1.2
    least_answers: int = 4
    least_share: float = 0.5
    expected_left: float = 2.0


_TUNING = ArrivalTuning()


class ArrivalWindow(SpentWindow):
    """
    The window that runs now.

    left = the lowest number that was told - what is in flight. What is in flight may have been
    counted already, so what is left rises again as it is answered: it never promises too much, and
    the order in which requests arrive does not matter.

    Attributes:
        period: Its length, as far as known.
        is_known: Whether that is a length that can be used.
        is_confirmed: Whether what is left was seen to fall by what was answered, in any window.
    """

    __slots__ = (
        "_answered",
        "_began",
        "_end",
        "_fallen",
        "_is_closed",
        "_limit",
        "_lowest",
        "_tuning",
        "is_confirmed",
        "is_known",
        "period",
    )

    def __init__(self, tuning: ArrivalTuning = _TUNING) -> None:
        super().__init__()
        self._tuning = tuning
        self.period = 0.0
        self.is_known = self.is_confirmed = False
        self._limit = math.inf
        self._end = -math.inf
        self._answered = self._fallen = 0.0
        self._begin(-math.inf)

    def _begin(self, now: float) -> None:
        self._began = now
        self._lowest = math.inf
        self._is_closed = False
        self.left = self._limit

    def close(self) -> bool:
        """Send nothing more before its end, if a refusal was to be expected; return whether."""
        if self.left > self._tuning.expected_left:
            return False
        self._is_closed = True
        self.left = min(self.left, 0.0)
        return True

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until *amount* may be sent: none, or those to the end."""
        if amount <= self.left:
            return 0.0
        ends = self._end + self._tuning.margin_seconds
        if now >= ends:
            self._begin(now)
            self._end = now + self.period  # until it is told
            return 0.0
        return ends - now if self.is_confirmed or self._is_closed else 0.0

    def read(self, reading: Reading, mark: SpendMark, now: float) -> None:
        """
        Take a reading into account.

        Args:
            reading: What the counter says, the request of *mark* counted.
            mark: Where the request stands whose answer says so.
            now: Seconds of the caller's clock.
        """
        remaining, ends_in = reading.remaining, reading.ends_in
        assert remaining is not None
        assert ends_in is not None
        tuning, told = self._tuning, reading.window
        end = (mark.sent_at if reading.ends_after_arrival else now) + ends_in
        self.period = told or max(self.period, ends_in)
        self.is_known = self.period <= SHORT_WINDOW and (
            told is not None or self.period >= tuning.shortest_seconds
        )
        self._limit = reading.limit or math.inf
        gap, most = end - self._end, max(self.period / 2, tuning.rounding_seconds)
        if gap > most or mark.sent_at >= self._end:
            if self._began < self._end:
                self._begin(min(self._end, mark.sent_at))
            self._end = end
        elif gap < -most or mark.sent_at < self._began:
            return  # an answer of a window that is over
        self._end = min(self._end, end)
        if mark.refused:
            if not remaining and ends_in:
                self._is_closed, self.left = True, 0.0
            return
        self._weigh(remaining, mark.amount)
        self._lowest = min(self._lowest, remaining)
        if not self._is_closed:
            self.left = self._lowest - mark.in_flight(self._began)

    def _weigh(self, remaining: float, amount: float) -> None:
        """Compare by how much what is left has fallen with what was answered."""
        if self._lowest == math.inf:
            return
        tuning = self._tuning
        self._answered += amount
        self._fallen += max(0.0, self._lowest - remaining)
        if self._answered >= tuning.least_answers * amount:
            self.is_confirmed = self._fallen >= tuning.least_share * self._answered
