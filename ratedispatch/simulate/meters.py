"""
Measures what happens at a provider: excess over a limit, latencies, and requests of a group.

Memory does not grow with the number of requests: a level for each limit, a number for each bin of
latencies, and eight bytes for each second of a group.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import Any

#: Latencies are kept in bins this far apart (natural logarithm): percentiles are within 1 %.
_BIN = 0.01


class Excess:
    """
    The largest amount by which any window of time exceeded ``burst + rate × width``.

    Fed with amounts in order of time, it keeps the level of a meter that leaks at the rate: the
    level after an amount is the largest ``sum − rate × width`` over all windows that end there.

    Args:
        limit: Units per minute; None measures nothing.
        burst: Units that may be spent at once.
        now: Loop time in seconds.
    """

    def __init__(self, limit: float | None, burst: float, now: float) -> None:
        self._rate = None if limit is None else limit / 60.0
        self._burst = burst
        self._level = 0.0
        self._peak = -math.inf
        self._at = now

    @property
    def value(self) -> float | None:
        """The excess so far, below zero if every window kept below; None if nothing came."""
        return None if self._peak == -math.inf else self._peak

    def add(self, amount: float, now: float) -> None:
        """Note *amount*, spent *now*; a negative one was given back."""
        if self._rate is None:
            return
        # without max(): run four times for each request
        level = self._level
        if now > self._at:
            leaked = level - (now - self._at) * self._rate
            level = leaked if leaked > 0.0 else 0.0  # noqa: FURB136
            self._at = now
        level += amount
        self._level = level if level > 0.0 else 0.0  # noqa: FURB136
        if self._level - self._burst > self._peak:  # noqa: PLR1730
            self._peak = self._level - self._burst

    def resize(self, limit: float | None, burst: float, now: float) -> None:
        """Measure against another limit from now on; the level is kept."""
        self.add(0.0, now)
        self._rate = None if limit is None else limit / 60.0
        self._burst = burst


class Latencies:
    """Percentiles of seconds within 1 %, in constant memory."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def add(self, delay: float) -> None:
        """Note one latency in seconds; below a microsecond counts as one."""
        self._bins[round(math.log(max(delay, 1e-6)) / _BIN)] += 1

    def percentile(self, share: float) -> float | None:
        """Return the latency in seconds that *share* (0..1) of all do not exceed."""
        wanted = share * self._bins.total()
        seen = 0
        for index in sorted(self._bins):
            seen += self._bins[index]
            if seen >= wanted:
                return round(math.exp(index * _BIN), 6)
        return None

    def report(self) -> dict[str, float | None]:
        """Return the usual percentiles by name."""
        shares = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "max": 1.0}
        return {name: self.percentile(share) for name, share in shares.items()}


class GroupCounts:
    """The outcome of the requests that draw from one group of limits."""

    def __init__(self) -> None:
        self.admitted = 0
        self.refused = 0
        self.per_second = array("q")

    def add(self, is_admitted: bool, second: int) -> None:
        """Note a request that arrived in *second*."""
        if not is_admitted:
            self.refused += 1
            return
        self.admitted += 1
        missing = second + 1 - len(self.per_second)
        if missing > 0:
            self.per_second.frombytes(bytes(8 * missing))
        self.per_second[second] += 1

    def report(self, seconds: int) -> dict[str, Any]:
        """Return everything, with numbers for each of the first *seconds* seconds."""
        per_second = self.per_second.tolist()
        return {
            "admitted": self.admitted,
            "refused": self.refused,
            "per_second_admitted": per_second + [0] * (seconds - len(per_second)),
        }
