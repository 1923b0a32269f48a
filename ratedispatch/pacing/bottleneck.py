"""
The bottleneck of a queue, and how much of each limit is used.

Adds up seconds by cause, over the last seconds and since the start, and puts the result into
words. Changes nothing about the queue. Knows causes by name; no buckets and no requests.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.dimension import dimension_named

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ratedispatch.pacing.snapshot import Level

#: Seconds over which causes and shares are taken.
WINDOW = 15.0

#: Seconds of one slice of the last seconds.
_SLICE_SECONDS = 1.0

#: Causes that are no limit's. Those of limits are the names of dimensions.
IN_FLIGHT = "in_flight"
PAUSE = "pause"
REFUSALS = "refusals"
HOLD = "unreachable"
NOTHING = "nothing_waiting"
CPU = "cpu"
SEARCH = "search"

#: The share of a processor above which this process is what there is too little of, if no limit
#: holds the queue back.
_BUSY = 0.85

_WORDS = {
    IN_FLIGHT: "the number in flight",
    PAUSE: "pauses after refusals",
    REFUSALS: "the rate learned from refusals",
    HOLD: "a server that cannot be reached",
    NOTHING: "no limit",
    SEARCH: "the search for an unknown limit",
    CPU: "this process's CPU",
}


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """
    The bottleneck of a queue.

    Args:
        binding: The dimension of a limit (``requests``, ``tokens``, …), ``in_flight``,
            ``pause``, ``refusals``, ``search``, ``unreachable``, ``cpu``, or ``nothing_waiting``.
        share: The used share of the limit that binds, or else of the most used limit.
        cpu: The share of one processor that this process uses.
    """

    binding: str
    share: float | None
    cpu: float

    def __str__(self) -> str:
        text = f"bound by {words_for(self.binding)}"
        return text if self.share is None else f"{text}, {self.share:.0%} of the limit used"


def words_for(binding: str) -> str:
    """Return the name of *binding* for a sentence."""
    return _WORDS.get(binding) or dimension_named(binding).phrase


def unknown_of(levels: Iterable[Level]) -> frozenset[str]:
    """Return the dimensions of *levels* whose limit is not known."""
    known = {level.dimension for level in levels if math.isfinite(level.per_minute)}
    return frozenset(level.dimension for level in levels) - known


def bottleneck_of(
    binding: str, shares: dict[str, float], cpu: float, unknown: Collection[str] = ()
) -> Bottleneck:
    """
    Return the bottleneck of a queue.

    Args:
        binding: What held the queue back the longest.
        shares: Of each limit, by dimension, what is used.
        cpu: The share of one processor that this process takes.
        unknown: Dimensions whose limit is not known: what holds the queue back there is not a limit
            of the account's.
    """
    if binding in unknown:
        return Bottleneck(SEARCH, None, cpu)
    if binding in {NOTHING, IN_FLIGHT} and cpu >= _BUSY:  # answers wait for us, not we for them
        binding = CPU
    share = shares.get(binding, max(shares.values(), default=None))
    return Bottleneck(binding, share, cpu)


class CpuMeter:
    """
    The share of a processor that this process takes.

    Args:
        clock: Seconds of processor time this process has taken, as `time.process_time`.
    """

    __slots__ = ("_clock", "_samples")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque()

    def read(self, now: float) -> float:
        """Return the share since the first call of the last seconds; 0 at the very first."""
        cpu = self._clock()
        self._samples.append((now, cpu))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()
        before, earlier = self._samples[0]
        return (cpu - earlier) / (now - before) if now > before else 0.0


class _Slice:
    """A slice: when it began, what had been spent by then, and the seconds by cause since."""

    __slots__ = ("before", "seconds", "since")

    def __init__(self, since: float, before: Sequence[float]) -> None:
        self.since = since
        self.before = before
        self.seconds: dict[str, float] = {}


class BottleneckClock:
    """
    For how long each cause held the queue back, and what was spent meanwhile.

    Args:
        spent: Tells what has been spent since the start, of one limit after the other; it only
            grows.
    """

    __slots__ = ("_at", "_began", "_cause", "_idle", "_last", "_slices", "_spent", "totals")

    def __init__(self, spent: Callable[[], Sequence[float]]) -> None:
        self._spent = spent
        self._slices: deque[_Slice] = deque()
        self._cause = NOTHING
        self._last: _Slice | None = None
        self._at = 0.0
        self._began = 0.0
        self._idle = 0.0
        self.totals: dict[str, float] = {}
        """Seconds by cause since the start, without those after the last request."""

    def hold(self, cause: str, now: float, *, has_granted: bool = False) -> None:
        """
        From *now* on it is *cause* that holds the queue back.

        Args:
            cause: One of those of this module, or a dimension.
            now: The instant.
            has_granted: Whether something went just before.
        """
        last = self._last
        if last is None or now - last.since >= _SLICE_SECONDS:
            self._advance(now)
        elif now > self._at:  # as in _advance, without the call
            elapsed, before = now - self._at, self._cause
            last.seconds[before] = last.seconds.get(before, 0.0) + elapsed
            if before == NOTHING:
                self._idle += elapsed
            else:
                self.totals[before] = self.totals.get(before, 0.0) + elapsed
            self._at = now
        self._cause = cause
        if has_granted and self._idle:  # that was not the end of the work
            self.totals[NOTHING] = self.totals.get(NOTHING, 0.0) + self._idle
            self._idle = 0.0

    def binding(self, now: float) -> str:
        """Return the cause that held the queue back the longest in the last seconds."""
        self._advance(now)
        seconds: dict[str, float] = {}
        for part in self._slices:
            for cause, time in part.seconds.items():
                seconds[cause] = seconds.get(cause, 0.0) + time
        return max(seconds, key=seconds.__getitem__, default=NOTHING)

    def shares(self, rates: Sequence[float], now: float) -> list[float]:
        """Return of each limit the share of its rate, per second, spent in the last seconds."""
        return [self.per_second(index, now) / rate for index, rate in enumerate(rates)]

    def per_second(self, index: int, now: float) -> float:
        """Return what was spent a second of the limit with number *index*, in the last seconds."""
        self._advance(now)
        span = min(WINDOW, now - self._began)
        if span <= 0:
            return 0.0
        return (self._spent()[index] - self._slices[0].before[index]) / span

    def _advance(self, now: float) -> None:
        if self._last is None:
            self._at = self._began = now
            self._last = _Slice(now, [0.0] * len(self._spent()))
            self._slices.append(self._last)
        last = self._last
        elapsed = now - self._at
        if elapsed > 0:
            last.seconds[self._cause] = last.seconds.get(self._cause, 0.0) + elapsed
            if self._cause == NOTHING:
                self._idle += elapsed
            else:
                self.totals[self._cause] = self.totals.get(self._cause, 0.0) + elapsed
            self._at = now
        if now - last.since >= _SLICE_SECONDS:
            self._last = _Slice(now, self._spent())
            self._slices.append(self._last)
            # by its end: a slice in which nothing happened may be longer than all the others
            while len(self._slices) > 1 and self._slices[1].since <= now - WINDOW:
                self._slices.popleft()
