"""
Decides what a refusal is about: one request, the speed of all, or the number in flight.

Decides from how the latest attempts ended: which were answered meanwhile, how many were refused
of all, and with how many in flight others were let through. No words of a server count. Pure in
the instants that it is handed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Grants of which is remembered how many were in flight with them.
_MOST_GRANTS = 512

_MORE_THAN_ALL = 1_000_000_000

#: Requests in a row whose refusals are remembered at most; the oldest are forgotten.
_MOST_STREAKS = 10_000


@dataclass(frozen=True, slots=True)
class EvidenceTuning:
    """
    What can be tuned of the judgement.

    Args:
        remembered: Answers, and refusals, that are examined.
        shortest_seconds: What goes at once at the start says little about a rate, so this much
            time is taken for it at least.
        small_share: Up to this share of refusals among all ends a queue need not slow down: the
            errors of a server that come at any speed are a few in a hundred.
        fewest_refusals: Up to so many are no share yet.
        fewest_answers: From so many on it can be told whether refusals follow the number in
            flight.
        above_share: Of attempts with at least as many in flight as a refused one had, at most
            this share was answered if the number in flight is what is limited. A few are: they
            came when a place had just become free.
        reordering_seconds: What leaves within so many seconds may arrive in another order.
        near_seconds: An answer shows that a request was refused alone if it left within so many
            seconds of the refusal: what a limit of a minute refuses is let through soon after,
            too.
        apart_seconds: Refusals that are this far apart are not of one burst.
        alone_seconds: A request that is refused while there is nothing else to send is given up
            after this long: two of the longest windows of a minute.
    """

    remembered: int = 64
    shortest_seconds: float = 1.0
    small_share: float = 0.1
    fewest_refusals: int = 2
    fewest_answers: int = 4
    above_share: float = 0.2
    reordering_seconds: float = 0.005
    near_seconds: float = 5.0
    apart_seconds: float = 0.1
    alone_seconds: float = 120.0


_TUNING = EvidenceTuning()


class _Refusal(NamedTuple):
    """
    A refused attempt.

    Args:
        at: When it ended.
        sent_at: When it left.
        load: How many were in flight with it.
        is_first: Whether the attempt before, if there was one, was not refused. A request that
            is refused again says less of the others: it may be refused always.
    """

    at: float
    sent_at: float
    load: int
    is_first: bool


class _Streak(NamedTuple):
    """
    Refusals of one request in a row.

    Args:
        first: When the first came.
        last: When the last came.
        was_alone: Whether others were answered between two of them.
    """

    first: float
    last: float
    was_alone: bool


class Standing(NamedTuple):
    """
    A refused request compared with the others.

    Args:
        is_alone: Others were answered since it was last refused, and almost none was refused.
        is_untested: It was refused twice, and nothing else was sent in between that has ended.
        is_left: It is alone because it was refused for long and nothing else is left to be sent.
    """

    is_alone: bool
    is_untested: bool
    is_left: bool = False


_FIRST = Standing(False, False)


class LoadFinding(NamedTuple):
    """
    Whether refusals follow the number in flight.

    Args:
        follows: Whether they do; None if that is not known.
        refused: How many were refused with as many in flight; 0 if they do not follow it.
        bursts: In how many bursts of sending.
        load: How many the server had with this one, at most.
    """

    follows: bool | None
    refused: int
    bursts: int
    load: int


class Evidence:
    """
    The latest attempts of one route.

    Attributes:
        answers: The latest answers; when it came, when its attempt left, and how many were in
            flight with it; the owner adds them.
        grants: The latest attempts that left, answered or not: when, and how many were in flight
            with it; the owner adds them.
        streaks: Requests whose last attempt was refused.
    """

    __slots__ = ("_refusals", "_tuning", "answers", "grants", "streaks")

    def __init__(self, tuning: EvidenceTuning = _TUNING) -> None:
        self._tuning = tuning
        self.answers: deque[tuple[float, float, int]] = deque(maxlen=tuning.remembered)
        self.grants: deque[tuple[float, int]] = deque(maxlen=_MOST_GRANTS)
        self._refusals: deque[_Refusal] = deque(maxlen=tuning.remembered)
        self.streaks: dict[int, _Streak] = {}

    def refused(
        self, row: int | None, sent_at: float, load: int, now: float, waiting: Iterable[int] = ()
    ) -> Standing:
        """
        Add a refusal; return how the request stands.

        Args:
            row: A number of the request's own; None if it is not known.
            sent_at: When the attempt left.
            load: How many were in flight with it.
            now: The instant.
            waiting: The numbers of the requests in the queue.
        """
        is_first = row is None or row not in self.streaks
        standing = _FIRST if row is None else self._stand(row, now, waiting)
        if not standing.is_alone:
            self._refusals.append(_Refusal(now, sent_at, load, is_first))
        return standing

    def _stand(self, row: int, now: float, waiting: Iterable[int]) -> Standing:
        streak = self.streaks.get(row)
        if streak is None:
            if len(self.streaks) >= _MOST_STREAKS:
                del self.streaks[next(iter(self.streaks))]
            self.streaks[row] = _Streak(now, now, False)
            return _FIRST
        is_left = False
        # what left much later met another server: a window of a minute may have started over
        until = streak.last + self._tuning.near_seconds
        answered = sum(streak.last < sent_at <= until for _, sent_at, _ in self.answers)
        others = self._others(streak.last)
        if answered or others:
            is_alone = others <= self._tuning.small_share * answered
        else:
            # Nothing else was sent. A row that was alone before still is. So is, in the end, one
            # that is refused for long by a server that has answered others, unless rows wait
            # that were never refused: in an outage the same few rows are tried in turn.
            is_old = now - streak.first >= self._tuning.alone_seconds
            is_lonely = bool(self.answers) and not self._others(streak.first)
            is_left = is_old and is_lonely and all(one in self.streaks for one in waiting)
            is_alone = streak.was_alone or is_left
        self.streaks[row] = _Streak(streak.first, now, is_alone)
        return Standing(is_alone, not (answered or others or is_alone), is_left)

    def _others(self, since: float) -> int:
        """Return how many requests that left after *since* were refused for the first time."""
        return sum(end.sent_at > since and end.is_first for end in self._refusals)

    def has_answered_since(self, instant: float) -> bool:
        """Return whether an answer came after *instant*, whenever its attempt left."""
        return bool(self.answers) and self.answers[-1][0] > instant

    def goodput(self, now: float) -> float:
        """Return how many attempts a second were not refused lately; more than 0."""
        if not self.grants:
            return 1.0
        since = self.grants[0][0]
        refused = sum(end.sent_at >= since for end in self._refusals)
        seconds = max(self._tuning.shortest_seconds, now - since)
        return max(1, len(self.grants) - refused) / seconds

    def is_small_share(self) -> bool:
        """Return whether so few attempts are refused that no slowing is called for."""
        tuning, since = self._tuning, self._since()
        refused = sum(end.at >= since for end in self._refusals)
        if refused <= tuning.fewest_refusals:
            return True
        answered = sum(at >= since for at, _, _ in self.answers)
        return refused <= tuning.small_share * (refused + answered)

    def load_finding(self, sent_at: float, load: int) -> LoadFinding:
        """
        Return whether what is refused is the number in flight.

        It is where attempts with fewer in flight than this one are answered, and almost none
        with as many. It is not where as many were answered lately. While most of those that left
        with as many are still on their way, it cannot be told: the first two that come back may
        have been refused by chance.

        Args:
            sent_at: When the refused attempt left.
            load: How many were in flight with it.
        """
        tuning = self._tuning
        answers = self.answers
        since = answers[0][0] if len(answers) == tuning.remembered else -math.inf
        own = self._true_load(sent_at, load, 1)
        if len(answers) < tuning.fewest_answers:
            return LoadFinding(None, 0, 0, own)
        above = 0
        for _, sent, other in answers:
            above += self._true_load(sent, other) >= own
            if above > tuning.above_share * (above + len(self._refusals)):
                return LoadFinding(False, 0, 0, own)  # whatever the refusals are, not enough
        refused = [
            end.sent_at
            for end in self._refusals
            if end.at >= since and self._true_load(end.sent_at, end.load, 1) >= own
        ]
        bursts = 0
        last = -math.inf
        for sent in sorted(refused):
            bursts += sent - last >= tuning.apart_seconds
            last = sent
        if self._is_by_chance(sent_at):
            return LoadFinding(None, 0, 0, own)
        follows = above <= tuning.above_share * (above + len(refused)) if above else True
        return LoadFinding(follows, len(refused), bursts, own)

    def _is_by_chance(self, sent_at: float) -> bool:
        """
        Return whether no more than a small share of what left together was refused so far.

        Right after the number in flight has grown, many leave at once, and none of them has been
        answered when the first refusals come back.
        """
        tuning = self._tuning
        since, until = sent_at - tuning.reordering_seconds, sent_at + tuning.reordering_seconds
        first = bisect_left(self.grants, (since, 0))
        count = bisect_right(self.grants, (until, _MORE_THAN_ALL)) - first
        refused = sum(since <= end.sent_at <= until for end in self._refusals)
        return refused <= tuning.small_share * count

    def _true_load(self, sent_at: float, load: int, itself: int = 0) -> int:
        """
        Return how many the server had with an attempt, at most.

        Those that left with it may have arrived before it, and those that were refused took no
        place. *itself* is 1 if the attempt is one of these.
        """
        until = sent_at + self._tuning.reordering_seconds
        grants = self.grants
        place = bisect_right(grants, (until, _MORE_THAN_ALL)) - 1
        while place >= 0 and grants[place][0] >= sent_at:
            load = max(load, grants[place][1])
            place -= 1
        refused = 0
        for end in reversed(self._refusals):
            if end.at <= sent_at:  # and all before it
                break
            refused += end.sent_at <= until
        return load - refused + itself

    def _since(self) -> float:
        """Return from when on both answers and refusals are remembered."""
        since, most = -math.inf, self._tuning.remembered
        if len(self.answers) == most:
            since = self.answers[0][0]
        if len(self._refusals) == most:
            since = max(since, self._refusals[0].at)
        return since
