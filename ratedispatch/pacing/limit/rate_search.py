"""
Finds a limit from nothing but refusals.

Finds a rate between two bounds, for providers whose answers name no numbers. Pure arithmetic on
instants; knows no bucket and no requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class SearchTuning:
    """
    What can be tuned of the search.

    Args:
        longest_gap_seconds: Seconds between the first two refusals above which they have nothing
            to do with each other.
        least_requests: Requests like the refused one admitted between two refusals below which
            these tell nothing: an outage, not a limit.
        widest_ratio: The upper bound over the lower, at most: what a bucket can have run over in
            a pause of a second or two.
        shortest_climb_seconds: Seconds in which the rate goes from the lower bound to the upper,
            at least.
        slow_climb_share_per_second: Share by which the rate is raised each second beyond that,
            to find out when a limit has been lifted.
        lifted_after_seconds: Seconds without a refusal after which the limit counts as lifted.
        doubling_seconds: Seconds in which the rate doubles then, again and again.
        guess_doubling_seconds: The same of a rate that is a mere guess, from its beginning on.
        guess_share: What a refusal leaves of a guess, unless so much of it was admitted that this
            tells the rate; less may be because the guess had been too low until shortly before.
        recalled_seconds: Seconds for which what an earlier run found is kept as it is: an account
            does not change from one run to the next as a rule, so that a short job meets no
            refusal at all.
        recalled_doubling_seconds: The rate doubles in so many seconds then, until there is one:
            an account that has moved up a tier or two is found within half a minute.
        lifted_share: Times what an earlier run found, from which on what went through without a
            refusal takes its place.
        run_factor: It is at most so many times what was admitted lately,
        run_slack: with so many requests added to these.
        shortest_found_seconds: Seconds since a refusal from which on what went through since tells
            another run of the rate: the pause is a small part of them.
    """

    longest_gap_seconds: float = 120.0
    least_requests: float = 10.0
    widest_ratio: float = 1.2
    shortest_climb_seconds: float = 10.0
    slow_climb_share_per_second: float = 0.0005
    lifted_after_seconds: float = 60.0
    doubling_seconds: float = 30.0
    guess_doubling_seconds: float = 10.0
    guess_share: float = 0.75
    recalled_seconds: float = 15.0
    recalled_doubling_seconds: float = 5.0
    lifted_share: float = 2.0
    run_factor: float = 2.0
    run_slack: float = 2.0
    shortest_found_seconds: float = 5.0


_TUNING = SearchTuning()


#: Doublings after which a rate is as good as infinite; one more might overflow.
_MOST_DOUBLINGS = 64.0


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: float
    high: float
    since: float
    span: float
    is_guess: bool = False
    steady: float = 0.0  # seconds until a guess begins to rise

    def rate(self, now: float, tuning: SearchTuning) -> float:
        """Return the rate to try at *now*: from *low* to *high* in *span* seconds, then beyond."""
        elapsed = max(0.0, now - self.since)
        if self.is_guess:
            rising = max(0.0, elapsed - self.steady)
            is_recalled = self.steady > 0
            doubling = (
                tuning.recalled_doubling_seconds if is_recalled else tuning.guess_doubling_seconds
            )
            return self.low * _doubled(rising / doubling)
        calm = tuning.lifted_after_seconds
        rate = self.low + (self.high - self.low) * min(1.0, elapsed / self.span)
        rate *= 1 + tuning.slow_climb_share_per_second * min(elapsed, calm)
        if elapsed > calm:
            rate *= _doubled((elapsed - calm) / tuning.doubling_seconds)
        return rate


def _doubled(times: float) -> float:
    return float(2.0 ** min(_MOST_DOUBLINGS, times))


#: Which of the numbers of `RateSearch.learned` are instants.
INSTANTS = (2, 5, 7, 10)


class _Stretch:
    """What was admitted since an instant."""

    __slots__ = ("_admitted", "_since")

    def __init__(self) -> None:
        self._since = -math.inf
        self._admitted = 0.0

    def restart(self, now: float, admitted: float) -> None:
        """Start over."""
        self._since, self._admitted = now, admitted

    @property
    def numbers(self) -> tuple[float, float]:
        """When it began, and what had been admitted by then."""
        return self._since, self._admitted

    @property
    def has_begun(self) -> bool:
        """Whether it has a beginning."""
        return self._since > -math.inf

    def seconds(self, now: float) -> float:
        """Return how long it is; infinite before the first."""
        return now - self._since

    def gained(self, admitted: float) -> float:
        """Return what was admitted in it."""
        return admitted - self._admitted


class RateSearch:
    """
    A rate in units per second, learned from the instants of refusals.

    At a refusal the provider's bucket is empty. Between two refusals it gave what flowed in: at
    least low = admitted / whole time (if it did not run over during our pause), at most
    high = admitted / time in which we sent. The longer the stretch, the closer the two. The rate
    climbs from low to high, then slowly on, and doubles again and again once no refusal comes.

    A limiter that counts in windows gives nothing at all until its window ends, and then
    everything; so where refusal follows refusal with nothing in between, the time until then
    is left out, if enough is admitted in one go afterwards to tell a rate of its own.
    """

    __slots__ = ("_begun_at", "_bounds", "_last", "_resumed_at", "_run", "_tuning", "_whole")

    def __init__(self, tuning: SearchTuning = _TUNING) -> None:
        self._bounds: _Bounds | None = None
        self._whole = _Stretch()  # since the last refusal that told something
        self._run = _Stretch()  # the same, or since the last that had nothing before it
        self._last = -1.0  # what had been admitted at the last refusal
        self._resumed_at = -math.inf
        self._begun_at = -math.inf  # what was recalled
        self._tuning = tuning

    def on_refusal(self, now: float, *, amount: float, admitted: float, resumes_at: float) -> None:
        """
        Learn from the first refusal of an episode.

        Args:
            now: When, in seconds of the caller's clock.
            amount: What the refused request asked for.
            admitted: What the provider has admitted in all so far.
            resumes_at: When we shall send again.
        """
        tuning = self._tuning
        is_dead = admitted <= self._last
        if is_dead:
            self._run.restart(now, admitted)
        self._last = admitted
        least = tuning.least_requests * amount
        stretch = self._run if self._run.gained(admitted) >= least else self._whole
        gained, seconds = stretch.gained(admitted), stretch.seconds(now)
        known, is_telling = self._bounds, gained >= least
        is_near = seconds <= tuning.longest_gap_seconds
        if known is not None and known.is_guess:
            tried = tuning.guess_share * known.rate(now, tuning)
            if is_telling and gained >= tried * seconds:
                span = max(tuning.shortest_climb_seconds, 2 * seconds)
                low = gained / seconds
                self._bounds = _Bounds(low, tuning.widest_ratio * low, resumes_at, span)
            else:
                low = known.low
                if not is_dead and self._run.has_begun:
                    run = self._run.seconds(now)
                    most = self._run.gained(admitted) + tuning.run_slack * amount
                    low = tuning.run_factor * most / run if run > 0 else math.inf
                    low = min(tried, low)
                elif known.steady:  # what was recalled has risen: it was too little
                    low = max(low, tried)
                steady = known.steady if low == known.low else 0.0
                self._bounds = replace(known, low=low, since=resumes_at, steady=steady)
        elif is_telling and (is_near or (known is not None and seconds < math.inf)):
            low = gained / seconds
            # the stretch may have begun after our pause was over
            sending = min(seconds, max(now - self._resumed_at, seconds / 10))
            high = min(tuning.widest_ratio * low, gained / sending)
            if known is not None:
                high = max(low, min(high, known.rate(now, tuning)))
            span = max(tuning.shortest_climb_seconds, 2 * seconds)
            self._bounds = _Bounds(low, high, resumes_at, span)
        elif known is not None:
            self._bounds = replace(known, since=resumes_at)
        if is_telling or not self._whole.has_begun:
            self._resumed_at = resumes_at
            self._whole.restart(now, admitted)
            self._run.restart(now, admitted)

    def seed(self, per_second: float, now: float, *, is_guess: bool = False) -> None:
        """
        Start from *per_second*.

        Args:
            per_second: What a refusal named, which may be lifted unsaid, or a guess.
            now: When it begins to rise.
            is_guess: Whether nothing supports it: then it soon rises.
        """
        span = self._tuning.shortest_climb_seconds
        self._bounds = _Bounds(per_second, per_second, now, span, is_guess)

    def recall(self, per_second: float) -> None:
        """Start from *per_second*, which an earlier run found; it counts from :meth:`begin` on."""
        tuning = self._tuning
        span, steady = tuning.shortest_climb_seconds, tuning.recalled_seconds
        self._bounds = _Bounds(per_second, per_second, math.inf, span, is_guess=True, steady=steady)

    def begin(self, now: float) -> None:
        """Let what was recalled count from *now* on: the first request goes."""
        if self._bounds is not None and self._bounds.since == math.inf:
            self._bounds = replace(self._bounds, since=now)
            self._begun_at = now

    def found(self, now: float, admitted: float, amount: float) -> float | None:
        """
        Return the rate that another run may begin with; None if nothing new was found.

        From one refusal on a bucket can give no more than what flows in, so
        max(low, admitted since / time since) is within the limit. Where no refusal came at all,
        what was recalled is replaced if much more went through than it allows.

        Args:
            now: Seconds of the caller's clock.
            admitted: What the provider has admitted in all so far.
            amount: What a request asks for on average.
        """
        tuning, bounds = self._tuning, self._bounds
        if bounds is None:
            return None
        low = 0.0 if bounds.is_guess else bounds.low
        if not self._whole.has_begun and bounds.is_guess:
            seconds = now - self._begun_at
            is_long = tuning.recalled_seconds < seconds < math.inf
            reached = admitted / seconds if is_long else 0.0
            return reached if reached > tuning.lifted_share * bounds.low else None
        gained, seconds = self._whole.gained(admitted), self._whole.seconds(now)
        if gained >= tuning.least_requests * amount and seconds >= tuning.shortest_found_seconds:
            low = max(low, gained / seconds)
        if bounds.steady and low <= bounds.low:
            return None  # a refusal has not shown that what was recalled is too much
        return low or None

    def loosen(self) -> None:
        """Rise soon from where it is: the refusals were about something else."""
        if self._bounds is not None:
            self._bounds = replace(self._bounds, is_guess=True)

    @property
    def stamp(self) -> object:
        """What is another one when anything was learned."""
        return self._bounds, self._last

    def learned(self) -> tuple[float, ...]:
        """Return what was learned, in numbers; instants at the places of `INSTANTS`."""
        bounds = self._bounds
        if bounds is None:
            found = (-1.0, 0.0, 0.0, 0.0, 0.0)
        else:
            is_guess = float(bounds.is_guess)
            found = (bounds.low, bounds.high, bounds.since, bounds.span, is_guess)
        return (*found, *self._whole.numbers, *self._run.numbers, self._last, self._resumed_at)

    def learn(self, numbers: Sequence[float]) -> None:
        """Take over what another search for the same limit has `learned`."""
        low, high, since, span, is_guess = numbers[:5]
        self._bounds = None if low < 0 else _Bounds(low, high, since, span, bool(is_guess))
        self._whole.restart(*numbers[5:7])
        self._run.restart(*numbers[7:9])
        self._last, self._resumed_at = numbers[9:11]

    def rate(self, now: float) -> float:
        """Return what may be spent a second; infinite while nothing has been learned."""
        return math.inf if self._bounds is None else self._bounds.rate(now, self._tuning)

    @property
    def is_set(self) -> bool:
        """Whether anything has been learned."""
        return self._bounds is not None

    @property
    def is_guess(self) -> bool:
        """Whether nothing supports the rate yet."""
        return self._bounds is not None and self._bounds.is_guess

    @property
    def is_recalled(self) -> bool:
        """Whether the rate is that of an earlier run, and nothing was learned since."""
        return self._bounds is not None and self._bounds.steady > 0

    def forget(self) -> None:
        """Drop what was learned: the limit has been lifted."""
        self._bounds = None
        self._whole, self._run, self._last = _Stretch(), _Stretch(), -1.0
