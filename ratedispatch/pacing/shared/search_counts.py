"""
What several processes count of a number in flight that is held: answers, seconds and refusals.

In the sums of a note, for each of the latest numbers apart.
"""

from __future__ import annotations

from operator import add, sub
from typing import TYPE_CHECKING

from ratedispatch.pacing.concurrency.reading import Sent
from ratedispatch.pacing.shared.store import TOTALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
    from ratedispatch.pacing.shared.store import Totals

#: Numbers that are told apart: those of the latest rounds. A round is the time of one number.
BUCKETS = 4

#: Sums of each: answers, their seconds, and refusals. The first sum of a note is a level's.
_EACH, _FIRST = 3, 1

#: Answers of others that are learned from at once.
_MOST = 10_000

#: Processes that have come.
_PLACE = _FIRST + _EACH * BUCKETS


class SearchCounts:
    """
    What one process has counted and not told, and what of others it has heard.

    Attributes:
        place: Which of those it is that have come.
    """

    __slots__ = ("_heard", "_new", "_told", "place")

    def __init__(self) -> None:
        self._new = [0.0] * TOTALS
        self._new[_PLACE] = 1.0
        self._told: Totals = tuple(self._new)
        self._heard: Totals = (0.0,) * TOTALS
        self.place = 0.0

    def answered(self, number: int, latency: float) -> None:
        """Count an answer to a request of the round *number* that took *latency* seconds."""
        at = _FIRST + _EACH * (number % BUCKETS)
        self._new[at] += 1
        self._new[at + 1] += latency

    def refused(self, number: int) -> None:
        """Count a refusal of a request of the round *number*."""
        self._new[_FIRST + _EACH * (number % BUCKETS) + 2] += 1

    def tell(self) -> Totals:
        """Return what is new, and count it as told."""
        self._told, self._new = tuple(self._new), [0.0] * TOTALS
        return self._told

    def undo(self) -> None:
        """Count what was told last as not told."""
        self._new = list(map(add, self._new, self._told))

    def hear(
        self, totals: Totals, *, is_anew: bool, is_first: bool
    ) -> Sequence[tuple[int, float, int]]:
        """
        Return what others have counted since the last time, by the rounds modulo `BUCKETS`.

        Args:
            totals: What stands for all.
            is_anew: Whether that has nothing to do with what stood there before.
            is_first: Whether nothing stood there before, as far as this process knows.
        """
        theirs = list(map(sub, map(sub, totals, self._heard), self._told))
        self._heard = totals
        if self._told[_PLACE]:
            self.place = totals[_PLACE]
        elif is_anew:
            self._new[_PLACE] = 1.0
        if is_anew or is_first:
            return [(0, 0.0, 0)] * BUCKETS
        starts = range(_FIRST, _PLACE, _EACH)
        return [
            (min(_MOST, max(0, round(theirs[at]))), theirs[at + 1], round(theirs[at + 2]))
            for at in starts
        ]


class Rounds:
    """
    The latest numbers that a search has held, and what was seen of them.

    Args:
        search: Looks for the number.
        number: The number of the round that begins.

    Attributes:
        number: The argument of this name, of the newest.
    """

    __slots__ = ("_held", "_search", "number")

    def __init__(self, search: AdaptiveLimit, number: int) -> None:
        self._search = search
        self._held = [(search.epoch, search.limit)] * BUCKETS
        self.number = number

    def keep(self) -> None:
        """Begin a new round if the search holds another number."""
        search = self._search
        if self._held[self.number % BUCKETS] != (search.epoch, search.limit):
            self.number += 1
            self._held[self.number % BUCKETS] = (search.epoch, search.limit)

    def feed(self, theirs: Sequence[tuple[int, float, int]], now: float) -> None:
        """Let the search learn what others have counted, by the rounds modulo `BUCKETS`."""
        search = self._search
        for place, (answers, latency, refusals) in enumerate(theirs):
            epoch, load = self._held[place]
            if answers:
                token = Sent(now - latency / answers, epoch, load, True)
                for _ in range(answers):
                    search.ended(token, now)
            if refusals:
                self._refuse(place, now)

    def refused(self, token: Sent) -> None:
        """Let the search learn that one of this process's own requests was refused."""
        for place, (epoch, _) in enumerate(self._held):
            if epoch == token.epoch:
                self._refuse(place, token.at)
                return

    def _refuse(self, place: int, at: float) -> None:
        epoch, load = self._held[place]
        before = self._held[place - 1][1]
        # while a higher number fills up nobody knows how many there are: just above the last one
        self._search.dropped(Sent(at, epoch, min(load, before + 1), True))
