"""
What a refusal is about: one request, the speed of all, or the number in flight.

Decides from how the latest attempts ended: which were answered meanwhile, how many were refused
of all, and with how many in flight others were let through. No words of a server count. Pure in
the instants that it is handed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

#: Requests in a row whose refusals are remembered at most; the oldest are forgotten.
_MOST_STREAKS = 10_000


@dataclass(frozen=True, slots=True)
class EvidenceTuning:
    """
    What can be tuned of the judgement.

    Args:
        remembered: Answers, and refusals, that are looked at.
        longest_seconds: Older ones say nothing of now.
        small_share: Up to this share of refusals among all ends a queue need not slow down: the
            errors of a server that come at any speed are a few in a hundred.
        fewest_refusals: Up to so many are no share yet.
        fewest_answers: From so many on it can be told whether refusals follow the number in
            flight.
        above_share: Of attempts with at least as many in flight as a refused one had, at most
            this share was answered if the number in flight is what is limited. A few are: they
            came when a place had just become free.
        alone_seconds: A request that is refused while there is nothing else to send is given up
            after this long: two of the longest windows of a minute.
    """

    remembered: int = 64
    longest_seconds: float = 60.0
    small_share: float = 0.1
    fewest_refusals: int = 2
    fewest_answers: int = 4
    above_share: float = 0.2
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
    How a refused request stands beside the others.

    Args:
        is_alone: Others were answered since it was last refused, and next to none was refused.
        is_untested: It was refused twice, and nothing else was sent in between that has ended.
    """

    is_alone: bool
    is_untested: bool


_FIRST = Standing(False, False)


class Evidence:
    """
    The latest attempts of one route.

    Attributes:
        answers: The latest answers; when it came, when its attempt left, and how many were in
            flight with it; the owner adds them.
        streaks: Requests whose last attempt was refused.
    """

    __slots__ = ("_refusals", "_tuning", "answers", "streaks")

    def __init__(self, tuning: EvidenceTuning = _TUNING) -> None:
        self._tuning = tuning
        self.answers: deque[tuple[float, float, int]] = deque(maxlen=tuning.remembered)
        self._refusals: deque[_Refusal] = deque(maxlen=tuning.remembered)
        self.streaks: dict[int, _Streak] = {}

    def refused(self, row: int | None, sent_at: float, load: int, now: float) -> Standing:
        """
        Add a refusal; return how the request stands.

        Args:
            row: A number of the request's own; None if it is not known.
            sent_at: When the attempt left.
            load: How many were in flight with it.
            now: The instant.
        """
        is_first = row is None or row not in self.streaks
        standing = _FIRST if row is None else self._stand(row, now)
        if not standing.is_alone:
            self._refusals.append(_Refusal(now, sent_at, load, is_first))
        return standing

    def _stand(self, row: int, now: float) -> Standing:
        streak = self.streaks.get(row)
        if streak is None:
            if len(self.streaks) >= _MOST_STREAKS:
                del self.streaks[next(iter(self.streaks))]
            self.streaks[row] = _Streak(now, now, False)
            return _FIRST
        answered = sum(sent_at > streak.last for _, sent_at, _ in self.answers)
        others = self._others(streak.last)
        if answered or others:
            is_alone = others <= self._tuning.small_share * answered
        else:
            # nothing else to send: what was alone before is so still, and so is in the end what
            # is long refused by a server that has answered others
            is_old = now - streak.first >= self._tuning.alone_seconds
            is_lonely = bool(self.answers) and not self._others(streak.first)
            is_alone = streak.was_alone or (is_old and is_lonely)
        self.streaks[row] = _Streak(streak.first, now, is_alone)
        return Standing(is_alone, not (answered or others or is_alone))

    def _others(self, since: float) -> int:
        """Return how many requests that left after *since* were refused for the first time."""
        return sum(end.sent_at > since and end.is_first for end in self._refusals)

    def is_small_share(self, now: float) -> bool:
        """Return whether so few attempts are refused that no slowing is called for."""
        tuning, since = self._tuning, self._since(now)
        refused = sum(end.at >= since for end in self._refusals)
        if refused <= tuning.fewest_refusals:
            return True
        answered = sum(at >= since for at, _, _ in self.answers)
        return refused <= tuning.small_share * (refused + answered)

    def follows_load(self, sent_at: float, load: int, now: float) -> bool | None:
        """
        Return whether what is refused is the number in flight; None if that cannot be told.

        It is where attempts with fewer in flight than this one are answered, and next to none
        with as many. It is not where as many were answered lately.

        Args:
            sent_at: When the refused attempt left.
            load: How many were in flight with it.
            now: The instant.
        """
        tuning = self._tuning
        since = now - tuning.longest_seconds
        answers = [end for end in self.answers if end[0] >= since]
        if len(answers) < tuning.fewest_answers:
            return None
        own = self._true_load(sent_at, load)
        above = sum(self._true_load(sent, other) >= own for _, sent, other in answers)
        if not above:
            return True
        refused = sum(
            self._true_load(end.sent_at, end.load) >= own
            for end in self._refusals
            if end.at >= since
        )
        return above <= tuning.above_share * (above + refused)

    def _true_load(self, sent_at: float, load: int) -> int:
        """Return how many the server had with an attempt: without those that it refused."""
        refused = sum(end.sent_at <= sent_at < end.at and end.load < load for end in self._refusals)
        return load - refused

    def _since(self, now: float) -> float:
        """Return from when on both answers and refusals are remembered."""
        since, most = now - self._tuning.longest_seconds, self._tuning.remembered
        if len(self.answers) == most:
            since = max(since, self.answers[0][0])
        if len(self._refusals) == most:
            since = max(since, self._refusals[0].at)
        return since
