"""
Finds how many requests may be in flight, by trying.

Decides a number from how long answers took and which requests were refused. Knows no rates,
no servers and no asyncio, and does not wait: requests wait in the queue of the admission.

The more requests a server without rate limits is given, the more it answers, until it is full;
beyond that, additional requests only wait. To find that point, two numbers are held in turn. The
throughput of each (by Little's law, the number in flight divided by the mean latency) shows
whether a higher number is worth it.

Follows: slow start of TCP (RFC 5681); paired differences (Kiefer and Wolfowitz 1952,
"Stochastic estimation of the maximum of a regression function"); multiplicative decrease (Chiu
and Jain 1989). From Netflix's concurrency-limits: what does not use its room teaches nothing.
Unlike its Vegas and Gradient2 no latency counts as that of an idle server, because an engine
that batches is slower per request, and still better used, with every request added.
"""

from __future__ import annotations

from math import ceil, exp, inf, log, nan

from ratedispatch.pacing.concurrency.adaptive_tuning import AdaptiveTuning
from ratedispatch.pacing.concurrency.ceiling import Ceiling
from ratedispatch.pacing.concurrency.reading import (
    Phase,
    Reading,
    Sent,
    Sums,
    answers_needed,
    full_between,
)
from ratedispatch.pacing.concurrency.silence import Silence
from ratedispatch.pacing.concurrency.steps import Steps

_TUNING = AdaptiveTuning()

#: Latencies below are the clock's, not the server's, in seconds.
_SHORTEST = 1e-9


class AdaptiveLimit:
    """
    The number that may be in flight, which follows the server.

    Every call takes constant time. What is sent while there was room to spare, or less than half
    of the room was used, is ignored, so a job that is bound by its rate or by its size raises
    nothing.

    Args:
        start: The first number, brought within the bounds.
        follows_rate: Whether a rate is known that the server is to take. Then requests that are
            not answered for long need more in flight, not less: see `AdaptiveTuning.patience_s`.
        least: Never less than this, at least 1.
        most: Never more than this, at least *least*.
        latency: Seconds that an answer took in an earlier run; 0 if that is not known.
        tuning: The constants.

    Attributes:
        most: The argument of this name.
        is_doubling: Whether the number is still doubled while answers come as fast.

    Raises:
        ValueError: The bounds are not 1 <= *least* <= *most*.
    """

    learns = True

    def __init__(
        self,
        *,
        start: int = 8,
        least: int = 1,
        most: int,
        follows_rate: bool = False,
        latency: float = 0.0,
        tuning: AdaptiveTuning = _TUNING,
    ) -> None:
        if not 1 <= least <= most:
            raise ValueError(
                f"at least {least} and at most {most} in flight; must be 1 <= least <= most"
            )
        self._tuning = tuning
        self._follows_rate = follows_rate
        self._silence = Silence(tuning.patience_s, latency)
        self._least = least
        self.most = most
        self._was_worthwhile = False
        self._is_high = self._is_resting = False
        self._is_sure = False  # whether the last doubling gained by more than chance
        self._steps = Steps(tuning)
        self._ceiling = Ceiling(tuning.pairs_below_ceiling)
        self._epoch = 0
        self._sums = self._former = Sums()
        self._cut = -1
        self._start_doubling(min(max(start, least), most))
        self._centre = log(self._low)

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return self._limit

    @property
    def found(self) -> int | None:
        """The number that has proved itself; None while nothing shows that it was needed."""
        if self._phase is Phase.CLIMBING:
            return max(self._least, round(exp(self._centre)))
        return self._low if self._was_worthwhile else None

    @property
    def newest(self) -> float | None:
        """Seconds that the newest answer took, where a rate is followed."""
        return self._silence.newest or None

    @property
    def epoch(self) -> int:
        """How often the limit was set."""
        return self._epoch

    def follow_rate(self) -> None:
        """Take it from now on that a rate is known that the server is to take."""
        self._follows_rate = True

    def resume(self, limit: int, found: int | None) -> None:
        """Continue from the state of another search: its *limit*, and what it has *found*."""
        self._ceiling.lift()
        if found is None:
            self._start_doubling(min(max(limit, self._least), self.most))
        else:
            self._was_worthwhile = True
            self._climb(log(found))

    def full(self, now: float) -> float:
        """Note that a request waits for room; return the seconds until silence raises the limit."""
        if not self._follows_rate or self._limit >= self._bound():
            return inf
        left = self._silence.left(now)
        if left > 0:
            return left
        self._was_worthwhile = True
        self._start_doubling(min(2 * self._limit, self._bound()))
        return self._silence.left(now)

    def sent(self, now: float, in_flight: int, is_full: bool) -> Sent:
        """
        Note that a request leaves; return what to give back when it has ended.

        Args:
            now: Loop time in seconds.
            in_flight: How many are in flight with it.
            is_full: Whether others wait for nothing but room: not for their rate, not for a
                pause to end.
        """
        if in_flight < self._limit:
            self._silence.since = None
        if not is_full:
            self._sums.since = nan
        elif self._sums.since is None:
            self._sums.since = now
        # half of the room: as in concurrency-limits, VegasLimit and Gradient2Limit
        return Sent(now, self._epoch, in_flight, is_full and 2 * in_flight >= self._limit)

    def ended(self, token: Sent, now: float) -> None:
        """Note that the request was answered, at loop time *now* in seconds."""
        latency = now - token.at
        if self._follows_rate:
            if self._silence.since is not None:
                self._silence.since = now
            self._silence.newest = latency
        if not token.is_saturated or not _SHORTEST <= latency < inf:
            return
        if self._phase is Phase.DOUBLING:
            if token.epoch == self._epoch - 1 and self._former.ended < self._enough:
                # both readings rest on equally many answers, and on the quickest of each
                self._former.add(latency, token.in_flight)
            if token.epoch != self._epoch:
                return
        elif self._skip > 0:
            self._skip -= 1
            return
        self._sums.add(latency, token.in_flight)
        if self._sums.ended >= self._enough:
            self._judge(now)

    def dropped(self, token: Sent) -> None:
        """
        Note that the request was refused for want of room, or never answered.

        The first refusal cuts the limit; what had left before the cut does not cut it again.
        """
        if token.epoch <= self._cut:
            return
        self._cut = self._epoch
        held = self._limit
        if self._phase is Phase.CLIMBING:
            held = max(1, min(held, round(exp(self._centre))))
        if token.is_saturated:
            held = min(held, token.in_flight)
            self._ceiling.refused(token.in_flight)
        self._was_worthwhile = True
        left = held * self._tuning.refused_factor
        if self._phase is Phase.DOUBLING and self._low < held:
            left = max(left, self._low)  # it went well before it was doubled
        self._steps.look_soon()
        self._climb(log(left))

    def _start_doubling(self, limit: int) -> None:
        self._compare_anew(Phase.DOUBLING)
        self._low = self._high = limit
        self._begin(limit)

    def _compare_anew(self, phase: Phase) -> None:
        self._phase = phase
        self._first: Reading | None = None
        self._is_second_look = False  # whether a pair is held again, and its readings go on
        self._kept: dict[bool, Sums] = {}  # of the first look, by whether the number is the high

    def _begin(self, limit: int, *, times: int = 1) -> None:
        """Hold *limit* until enough has ended, *times* what a reading needs."""
        self._limit, self.is_doubling = limit, self._phase is Phase.DOUBLING
        self._epoch += 1
        self._former = self._sums
        self._sums = self._kept.pop(self._is_high) if self._kept else Sums()
        needed = answers_needed(self._phase, limit, self._tuning, is_first=self._first is None)
        self._enough = self._sums.ended + times * needed
        # Of what was sent since the limit changed the quick answers come first, and counting
        # only those would mislead; so all that ends counts, once most of what was in flight
        # before has ended.
        self._skip = 0 if self._phase is Phase.DOUBLING else limit

    def _judge(self, now: float) -> None:
        if self._is_resting:
            self._is_resting = False
            self._hold()
            return
        reading = self._sums.reading(now)
        first = self._first
        if first is not None and self._phase is Phase.DOUBLING:
            first = self._former.reading(now)._replace(answered=first.answered)
        if first is not None:
            self._compare(first, reading)
        elif self._phase is Phase.DOUBLING:
            self._double(reading)
        else:
            self._first = reading
            self._is_high = not self._is_high
            self._hold()

    def _compare(self, first: Reading, second: Reading) -> None:
        """Decide on the next pair from the two readings of this one, in either order."""
        tuning = self._tuning
        is_timed = self._follows_rate and self._phase is Phase.DOUBLING
        elasticity = first.elasticity(second, tuning, is_timed=is_timed)
        if self._phase is Phase.CLIMBING:
            self._ceiling.count_pair()
            is_bound = self._centre >= log(self._bound())
            self._climb(self._centre + self._steps.next(elasticity, is_bound=is_bound))
        elif self._phase is Phase.HALVING:
            self._halve(first, second, elasticity)
        elif elasticity >= tuning.decisive_elasticity:
            beyond = elasticity - tuning.worthwhile_elasticity
            self._is_sure = beyond > tuning.sure_deviations * first.uncertainty(second)
            self._was_worthwhile = True
            self._double(second)
        else:
            self._stop_doubling(elasticity)

    def _stop_doubling(self, elasticity: float) -> None:
        """
        Go on from where the last doubling gained less than is decisive.

        Where that gained nothing, and the doubling before it may have gained by chance, half of
        the number is tried first: from far above its best a number climbs down slowly.
        """
        is_full = elasticity < self._tuning.worthwhile_elasticity
        full_at = full_between(log(self._low), log(self._high), elasticity)
        self._steps.turn()
        is_sure = self._is_sure or self._follows_rate  # which is not served by half of the number
        is_proven = self._was_worthwhile and (is_sure or not is_full)
        if is_proven or self._low <= self._least:
            self._climb(full_at)
        else:
            self._was_worthwhile = False
            self._try_half(full_at)

    def _halve(self, first: Reading, second: Reading, elasticity: float) -> None:
        """Try half as many where more gains nothing; where that is in doubt, look once more."""
        # of what was sent before the number changed some is in the readings, with its own number
        low, high = sorted((first.in_flight, second.in_flight))
        full_at = full_between(low, high, elasticity)
        beyond = elasticity - self._tuning.halving_elasticity
        if not self._is_second_look and abs(beyond) < first.uncertainty(second):
            self._is_second_look = True
            self._kept = {self._is_high: self._sums, not self._is_high: self._former}
            self._first = None
            self._hold()
        elif beyond < 0 and self._low > self._least:
            self._try_half(full_at)
        else:
            self._was_worthwhile = True
            self._climb(full_at)

    def _double(self, reading: Reading) -> None:
        """Try twice as many against *reading*, if they may be tried."""
        wanted = min(2 * self._limit, self._bound())
        if wanted <= self._limit:
            settle = self._climb if self._was_worthwhile else self._try_half
            settle(log(self._limit))
            return
        self._first = reading
        self._low, self._high = self._limit, wanted
        self._is_high = True
        self._begin(wanted)

    def _try_half(self, number: float) -> None:
        """Hold *number* (ln) and half of it."""
        self._steps.turn()
        self._pair(Phase.HALVING, number - log(2), number)

    def _climb(self, centre: float) -> None:
        """Hold two numbers around *centre* (ln), or around the bound that it exceeds."""
        spread, bound = self._tuning.spread_ln, log(self._bound())
        self._centre = max(log(self._least), min(centre, bound))
        self._pair(Phase.CLIMBING, self._centre - spread, min(self._centre + spread, bound))
        self._is_resting = True
        self._begin(round(exp(self._centre)), times=self._steps.rest)

    def _pair(self, phase: Phase, low: float, high: float) -> None:
        """
        Hold two numbers in turn, given as ln.

        The side held last comes first, so the order alternates and a drift of the server that
        favours the second in one pair favours the first in the next.
        """
        self._compare_anew(phase)
        self._is_resting = False
        self._low = max(self._least, ceil(exp(low)))
        self._high = min(self.most, max(self._least, round(exp(high))))
        if self._high <= self._low:
            self._low = max(self._least, self._high - 1)
            self._high = min(self.most, self._low + 1)
        self._hold()

    def _hold(self) -> None:
        self._begin(self._high if self._is_high else self._low)

    def _bound(self) -> int:
        """Return the most that may be tried: what is allowed and has not just been refused."""
        return self._ceiling.within(self._least, self.most)
