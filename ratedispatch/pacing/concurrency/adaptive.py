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
from ratedispatch.pacing.concurrency.reading import Phase, Reading, Sent, Sums

_TUNING = AdaptiveTuning()

#: Latencies below are the clock's, not the server's, in seconds.
_SHORTEST = 1e-9

#: Phases in which numbers differ by a factor of two.
_COARSE = frozenset({Phase.DOUBLING, Phase.HALVING})


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
        self._silent_since: float | None = None  # while room is what is short
        self._newest = latency  # seconds that the newest answer took
        self._least = least
        self.most = most
        self._phase = Phase.DOUBLING
        self._was_worthwhile = False
        self._low = self._high = min(max(start, least), most)
        self._centre = log(self._low)
        self._is_high = self._is_resting = False
        self._first: Reading | None = None
        self._last_step = 0.0  # of the centre, as ln
        self._ceiling = inf
        self._pairs_below_ceiling = self._epoch = 0
        self._sums = Sums()
        self._rest = tuning.readings_at_centre
        self._cut = -1
        self._begin(self._low)

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
        return self._newest or None

    @property
    def epoch(self) -> int:
        """How often the limit was set."""
        return self._epoch

    def follow_rate(self) -> None:
        """Take it from now on that a rate is known that the server is to take."""
        self._follows_rate = True

    def resume(self, limit: int, found: int | None) -> None:
        """Continue from the state of another search: its *limit*, and what it has *found*."""
        self._ceiling = inf
        self._first = None
        if found is not None:
            self._was_worthwhile = True
            self._climb(log(found))
            return
        self._phase = Phase.DOUBLING
        self._low = self._high = min(max(limit, self._least), self.most)
        self._begin(self._low)

    def full(self, now: float) -> float:
        """Note that a request waits for room; return the seconds until silence raises the limit."""
        if not self._follows_rate or self._limit >= self._bound():
            return inf
        if self._silent_since is None:
            self._silent_since = now
        patience = max(self._tuning.patience_s, self._newest)
        wait = self._silent_since + patience - now
        if wait < -patience / 2:  # this process stood still, and answers may lie unread
            self._silent_since, wait = now, patience
        if wait > 0:
            return wait
        self._silent_since = now
        self._phase = Phase.DOUBLING
        self._was_worthwhile = True
        self._first = None
        self._low = self._high = min(2 * self._limit, self._bound())
        self._begin(self._high)
        return patience

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
            self._silent_since = None
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
            if self._silent_since is not None:
                self._silent_since = now
            self._newest = latency
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
            self._ceiling = log(max(1, token.in_flight - 1))
            self._pairs_below_ceiling = 0
        self._was_worthwhile = True
        left = held * self._tuning.refused_factor
        if self._phase is Phase.DOUBLING and self._low < held:
            left = max(left, self._low)  # it went well before it was doubled
        self._rest = self._tuning.readings_at_centre
        self._climb(log(left))

    def _begin(self, limit: int, *, times: int = 1) -> None:
        """Hold *limit* until enough has ended, *times* what a reading needs."""
        tuning = self._tuning
        self._limit, self.is_doubling = limit, self._phase is Phase.DOUBLING
        self._epoch += 1
        self._former = self._sums
        self._sums = Sums()
        is_coarse = self._phase in _COARSE
        fewest = tuning.fewest_answers_doubling if is_coarse else tuning.fewest_answers
        each = tuning.answers_per_place_doubling if is_coarse else tuning.answers_per_place
        if self._phase is Phase.DOUBLING and self._first is None:
            fewest = 1  # it keeps counting while the double is tried
        elif self._phase is Phase.HALVING:
            fewest *= 2  # halving without need loses half of the throughput
        self._enough = times * max(fewest, ceil(each * limit))
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
        # A server that is full at so many in flight, idle below and queueing above, shows this
        # elasticity between the two: throughput grows in proportion up to there, then stays.
        full_at = log(self._low) + log(self._high / self._low) * min(1.0, max(0.0, elasticity))
        if self._phase is Phase.CLIMBING:
            self._step(elasticity)
        elif elasticity < tuning.decisive_elasticity:
            self._last_step = 0.0
            if self._was_worthwhile or self._low <= self._least:
                self._climb(full_at)
            else:
                self._pair(Phase.HALVING, full_at - log(2), full_at)
        elif self._phase is Phase.DOUBLING:
            self._was_worthwhile = True
            self._double(second)
        else:
            self._was_worthwhile = True
            self._climb(full_at)

    def _step(self, elasticity: float) -> None:
        """
        Move the centre along the slope, twice as far if it moves in the same direction as before.

        Where it turns back, or may not go on, it is near the best: it rests twice as long before
        it looks again, as the numbers beside it are worse.
        """
        tuning = self._tuning
        self._pairs_below_ceiling += 1
        step = tuning.gain_ln * (elasticity - tuning.worthwhile_elasticity)
        if self._pairs_below_ceiling > tuning.pairs_below_ceiling:
            self._ceiling = inf
        goes_on = step * self._last_step > 0
        is_held = step > 0 and self._centre >= log(self._bound())
        if is_held or not goes_on:
            self._rest = min(2 * self._rest, tuning.most_readings_at_centre)
        else:
            self._rest = tuning.readings_at_centre
        self._last_step = step
        if goes_on:
            step *= 2
        self._climb(self._centre + step)

    def _double(self, reading: Reading) -> None:
        """Try twice as many against *reading*, if they may be tried."""
        wanted = min(2 * self._limit, self._bound())
        if wanted <= self._limit:
            here = log(self._limit)
            if self._was_worthwhile:
                self._climb(here)
            else:
                self._pair(Phase.HALVING, here - log(2), here)
            return
        self._first = reading
        self._low, self._high = self._limit, wanted
        self._is_high = True
        self._begin(wanted)

    def _climb(self, centre: float) -> None:
        """Hold two numbers around *centre* (ln), or around the bound that it exceeds."""
        spread, bound = self._tuning.spread_ln, log(self._bound())
        self._centre = max(log(self._least), min(centre, bound))
        self._pair(Phase.CLIMBING, self._centre - spread, min(self._centre + spread, bound))
        self._is_resting = True
        self._begin(round(exp(self._centre)), times=self._rest)

    def _pair(self, phase: Phase, low: float, high: float) -> None:
        """
        Hold two numbers in turn, given as ln.

        The side held last comes first, so the order alternates and a drift of the server that
        favours the second in one pair favours the first in the next.
        """
        self._phase = phase
        self._first = None
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
        below = self.most if self._ceiling >= log(self.most) else round(exp(self._ceiling))
        return max(self._least, min(self.most, below))
