"""
Determines the limit of one dimension from all sources.

Combines what the user set, what the provider says, the guess for a limit that is not given, and
what refusals show into one number. Depends only on the time that it is given; knows no bucket.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.rate_search import INSTANTS as SEARCH_INSTANTS
from ratedispatch.pacing.limit.rate_search import RateSearch, SearchTuning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.limits import Rate, Reading
    from ratedispatch.pacing.limit.account import SpendMark
    from ratedispatch.pacing.limit.reading_filter import ReadingFilter


@dataclass(frozen=True, slots=True)
class SourceTuning:
    """
    What can be tuned of the way to a limit.

    Args:
        news_share: Share by which a limit has to differ before it is news.
        auto_silent_answers: So many answers that say nothing about a limit that is to be learned,
            and it is raised until there is a refusal.
        auto_doubling_seconds: Seconds in which it doubles then.
        clearly_lower_share: A limit that the provider counts in another unit than we (it charges
            less than we reserve) is adopted if it is below this share of the user's own; nearer
            ones are within the error.
        closer_factor: After a refusal in spite of a reading that left room the limit is enforced
            over less time than it is told for, as Azure's over seconds: each such refusal makes
            the rate lower by a hundredth.
        closest_share: What such refusals leave of the limit at least.
        search_burst_seconds: Seconds of the rate that may go at once while it is searched for: a
            limiter may hold no more than one request, as nginx's does without ``burst``.
        search: Of the search between refusals.
    """

    news_share: float = 0.01
    auto_silent_answers: int = 3
    auto_doubling_seconds: float = 0.5
    clearly_lower_share: float = 0.8
    closer_factor: float = 0.99
    closest_share: float = 0.95
    search_burst_seconds: float = 0.05
    search: SearchTuning = field(default_factory=SearchTuning)


_TUNING = SourceTuning()


#: A limit below or above these, per minute (or per day, if it is one of a day), is not a limit that
#: anybody has.
_LEAST_LIMIT = 1.0
_MOST_LIMIT = 1e12

#: Which of the numbers of `LimitSource.learned` are instants.
INSTANTS = (6, *[9 + place for place in SEARCH_INSTANTS])

#: Doublings after which a guess is as good as infinite.
_MOST_DOUBLINGS = 40.0


class LimitSource:
    """
    One limit per minute, from what is known of it.

    limit = min(told, search) × closeness, where *told* is min(the user's, the provider's); of a
    limit to be learned that was not told it is a guess, which doubles again and again until the
    first refusal.

    Args:
        rate: As the user set it.
        burst_of: Returns what may go at once of another limit per minute.
        tuning: The constants.
        is_recalled: Whether the number in place of a limit to be learned is one that an
            earlier run has found.

    Attributes:
        most: The most that a single request may cost: a whole minute (or day) of the limit.
        told: The limit per minute that the provider says, if it is believed.
        silent_answers: Answers that said nothing of this limit.
        is_named: Whether a refusal named the limit.
        is_moving: Whether the limit changes with time alone.
        adopted: The limit and the period of the reading that *told* is taken from as it stands.
        cap: The most per minute that others who share the limit allow.
    """

    __slots__ = (
        "_begun_at",
        "_burst_of",
        "_closeness",
        "_guess",
        "_guessed_at",
        "_rate",
        "_search",
        "_told_span",
        "_tuning",
        "adopted",
        "cap",
        "is_moving",
        "is_named",
        "most",
        "silent_answers",
        "told",
    )

    def __init__(
        self,
        rate: Rate,
        burst_of: Callable[[float], float],
        tuning: SourceTuning = _TUNING,
        *,
        is_recalled: bool = False,
    ) -> None:
        self.most = math.inf if rate.is_auto else rate.limit
        self.told: float | None = None
        self._told_span = rate.window  # seconds that the provider gives it for
        self.silent_answers = 0
        self.is_named = False
        self.is_moving = rate.is_auto
        self.adopted = (math.nan, math.nan)
        self._burst_of = burst_of
        self._rate = rate  # as the user set it
        self._guess = rate.per_minute
        self._guessed_at: float | None = None
        self._search = RateSearch(tuning.search)
        self._closeness = 1.0
        self._begun_at = 0.0
        self._tuning = tuning
        self.cap = math.inf
        if is_recalled:
            self._guess = self._guessed_at = math.inf
            self._search.recall(rate.per_second)

    def begin(self, now: float) -> None:
        """Let what an earlier run has found count from *now* on."""
        self._begun_at = now
        self._search.begin(now)

    def reached(self, now: float, admitted: float) -> float | None:
        """Return what went through per minute where no limit was met; None where one was."""
        if self.is_known or self._search.is_set or self._guessed_at is None:
            return None
        return admitted * 60 / max(1.0, now - self._begun_at)

    def found(self, now: float, admitted: float, amount: float) -> float | None:
        """Return the limit per minute that another run may begin with; None if there is no news."""
        if self.told is not None:
            return self.told
        per_second = self._search.found(now, admitted, amount)
        return None if per_second is None else per_second * 60

    @property
    def is_known(self) -> bool:
        """Whether the limit was set, or has been told."""
        return not self._rate.is_auto or self.told is not None

    def limit(self, now: float) -> float:
        """Return the limit per minute that follows from all that is known."""
        tuning = self._tuning
        if self.told is not None:
            is_auto = self._rate.is_auto
            limit = self.told if is_auto else min(self._rate.per_minute, self.told)
        elif self._guessed_at is not None and now > self._guessed_at:
            doublings = (now - self._guessed_at) / tuning.auto_doubling_seconds
            limit = self._rate.per_minute * 2.0 ** min(_MOST_DOUBLINGS, doublings)
        else:
            limit = self._guess
        return min(min(limit, self._search.rate(now) * 60) * self._closeness, self.cap)

    def new_rate(self, rate: Rate, now: float) -> Rate | None:
        """Return what to put in force in place of *rate*; None if that is no news."""
        limit, is_auto = self.limit(now), not self.is_known
        tuning, search = self._tuning, self._search
        is_near = abs(limit - rate.per_minute) <= tuning.news_share * rate.per_minute
        most = math.inf
        if search.is_set and not (rate.is_daily or search.is_recalled or self.is_named):
            most = max(1.0, limit / 60 * tuning.search_burst_seconds)
        if is_near and rate.is_auto == is_auto and rate.burst <= most * (1 + tuning.news_share):
            return None
        # of a day the whole budget may go at once
        burst = limit / 60 * self._told_span if rate.is_daily else self._burst_of(limit)
        return replace(rate, per_minute=limit, burst=min(max(1.0, burst), most), is_auto=is_auto)

    def advance(self, now: float) -> None:
        """Let a guess begin to rise after silent answers; end a search that found no limit."""
        is_guessed = not self.is_known
        is_silent = self.silent_answers >= self._tuning.auto_silent_answers
        if is_guessed and self._guessed_at is None and is_silent:
            self._guessed_at = now
        search = self._search
        if search.is_set and not is_guessed and search.rate(now) >= self._rate.per_second:
            search.forget()  # the limit has been lifted
            self._update_moving()

    def adopt(self, reading: Reading, mark: SpendMark, readings: ReadingFilter) -> bool:
        """
        Adopt the limit that *reading* says, if it is to be believed.

        Returns:
            Whether :meth:`limit` may have changed.
        """
        rate, limit = self._rate, reading.limit
        if limit is None or reading.is_daily != rate.is_daily:
            return False
        told = limit * 60 / reading.span
        in_its_unit = limit if rate.is_daily else told
        if not _LEAST_LIMIT <= in_its_unit <= _MOST_LIMIT:
            return False
        if mark.refused and not readings.seen:  # the text of a refusal, and no headers
            self.is_named = True
            if not rate.is_auto and not rate.is_daily:  # of a day there is nothing to try out
                self._search.seed(told / 60, mark.sent_at)
                self.is_moving = True
                return True
        elif rate.is_auto:
            if reading.window is not None and not reading.proves_surplus:
                return False
        elif readings.unit_ratio < 1:
            told /= readings.unit_ratio
            is_exact = rate.dimension.startswith("requests")
            if is_exact or told > self._tuning.clearly_lower_share * rate.per_minute:
                return False
        elif not readings.is_correlated:
            return False
        self.told, self._told_span = told, reading.span
        if self._search.is_recalled:  # what the provider says counts more
            self._search.forget()
        if rate.is_auto:
            self.most = told
        is_converted = not rate.is_auto and readings.unit_ratio < 1
        self.adopted = (math.nan if is_converted else limit, reading.period)
        self._update_moving()
        return True

    def stamp(self) -> tuple[object, ...]:
        """Return what is another one when anything was learned."""
        return self.told, self._guessed_at, self._closeness, self.is_named, self._search.stamp

    def learned(self) -> tuple[float, ...]:
        """Return what was learned, in numbers; instants at the places of `INSTANTS`."""
        return (
            -1.0 if self.told is None else self.told,
            self._told_span,
            self.most,
            *[-1.0 if math.isnan(one) else one for one in self.adopted],
            self._guess,
            -math.inf if self._guessed_at is None else self._guessed_at,
            float(self.is_named),
            self._closeness,
            *self._search.learned(),
        )

    def learn(self, numbers: Sequence[float]) -> None:
        """Take over what another `LimitSource` of the same limit has `learned`."""
        told, self._told_span, most, limit, period, self._guess, guessed_at = numbers[:7]
        self.told = None if told < 0 else told
        if self._rate.is_auto:
            self.most = most
        self.adopted = (math.nan if limit < 0 else limit, math.nan if period < 0 else period)
        self._guessed_at = None if guessed_at == -math.inf else guessed_at
        self.is_named, self._closeness = bool(numbers[7]), numbers[8]
        self._search.learn(numbers[9:])
        self._update_moving()

    def differs(self, told: float | None) -> bool:
        """Return whether *told* differs from the limit that the provider states now."""
        if told is None or self.told is None:
            return False
        return abs(self.told - told) > self._tuning.news_share * told

    def on_refusal(self, per_second: float, resumes_at: float) -> None:
        """Search between refusals from now on, if the limit was a guess: it was too much."""
        if not self.is_known and not self._search.is_set:
            self._guess = self._guessed_at = math.inf
            self._search.seed(per_second, resumes_at, is_guess=True)

    def search(self, now: float, *, amount: float, admitted: float, resumes_at: float) -> bool:
        """Learn from a refusal without readings; return whether the rate is more than a guess."""
        self._search.on_refusal(now, amount=amount, admitted=admitted, resumes_at=resumes_at)
        self._update_moving()
        return self._search.is_set and not self._search.is_guess

    def forget_search(self) -> bool:
        """End a search between refusals that were about no rate; return whether there was one."""
        if not self._search.is_set or self.is_named:
            return False
        if self.is_known:
            self._search.forget()
        else:  # there is nothing else to go by
            self._search.loosen()
        self._update_moving()
        return True

    def come_closer(self) -> None:
        """Lower the limit: it is enforced more closely than the readings show."""
        tuning = self._tuning
        self._closeness = max(tuning.closest_share, self._closeness * tuning.closer_factor)

    def is_within(self, limit: float, span: float) -> bool:
        """Return whether *limit* in *span* seconds is no more than what the user wants."""
        return limit <= self._rate.per_second * span * (1 + self._tuning.news_share)

    def _update_moving(self) -> None:
        self.is_moving = self._search.is_set or not self.is_known
