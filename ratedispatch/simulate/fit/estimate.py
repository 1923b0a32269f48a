"""
Holds numbers with intervals, and computes them by robust statistics. Pure.

Sources: H. Theil (1950) and P. K. Sen (1968) for the slope and its interval; E. B. Wilson (1927)
for a share.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Standard errors of an interval that holds the truth 95 times in 100.
Z = 1.96

#: Points whose slopes by pairs are all looked at: 80,000 of them.
_MOST_POINTS = 400

#: More points are examined in so many groups at most, each of so many: 300,000 slopes.
_MOST_GROUPS, _GROUP = 60, 100


class Estimate(NamedTuple):
    """
    A number that was found.

    Args:
        value: The number.
        low: The truth is above this and below *high*, 95 times in 100.
        high: See *low*.
        n: Observations that it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, which has no infinite numbers."""
        high = self.high if math.isfinite(self.high) else None
        return {"value": self.value, "low": self.low, "high": high, "n": self.n}


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return what *share* (0..1) of the *ordered* values do not exceed, between two of them."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def share_of(count: int, n: int) -> Estimate:
    """Return the share *count* of *n*, with Wilson's interval."""
    if not n:
        return Estimate(0.0, 0.0, 1.0, 0)
    share, spread = count / n, Z * Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    low = 0.0 if not count else max(0.0, middle - half)
    return Estimate(share, low, 1.0 if count == n else min(1.0, middle + half), n)


def evenly(values: Sequence[Any], most: int) -> Sequence[Any]:
    """Return *values*, or *most* of them at even distances."""
    if len(values) <= most:
        return values
    return [values[index * len(values) // most] for index in range(most)]


def slope_of(points: Sequence[tuple[float, float]]) -> Estimate | None:
    """
    Return the slope of *points*, that of Theil and Sen; None where the first numbers do not vary.

    The interval is Sen's, by ranks: it holds whatever the errors are distributed like. Many points
    are dealt into groups, each as wide as the whole, and the mean of their slopes is taken.
    """
    ordered = sorted(points)
    if len(ordered) <= _MOST_POINTS:
        return _slope_of(ordered)
    ordered = list(evenly(ordered, _MOST_GROUPS * _GROUP))
    groups = len(ordered) // _GROUP
    found = [one for first in range(groups) if (one := _slope_of(ordered[first::groups]))]
    if not found:
        return None
    value = math.fsum(one.value for one in found) / len(found)
    # of independent groups, errors add up by their squares
    below = math.sqrt(math.fsum((one.value - one.low) ** 2 for one in found)) / len(found)
    above = math.sqrt(math.fsum((one.high - one.value) ** 2 for one in found)) / len(found)
    return Estimate(value, value - below, value + above, sum(one.n for one in found))


def _slope_of(points: Sequence[tuple[float, float]]) -> Estimate | None:
    """Return the slope of *points*, which are sorted, by all their pairs."""
    slopes = [
        (second[1] - first[1]) / (second[0] - first[0])
        for place, first in enumerate(points)
        for second in points[place + 1 :]
        if second[0] > first[0]
    ]
    if not slopes:
        return None
    slopes.sort()
    n = len(points)
    ties = Counter(x for x, _ in points)
    variance = n * (n - 1) * (2 * n + 5)
    variance -= sum(t * (t - 1) * (2 * t + 5) for t in ties.values())
    reach = Z * math.sqrt(max(0, variance) / 18)
    last = len(slopes) - 1
    low = max(0, min(last, math.floor((len(slopes) - reach) / 2)))
    high = max(0, min(last, math.ceil((len(slopes) + reach) / 2)))
    return Estimate(quantile(slopes, 0.5), slopes[low], slopes[high], n)


class Residuals:
    """
    A distribution of numbers above zero, of which some are only known to be at least so large.

    Args:
        values: The numbers, each with whether it is only "at least"; one or more.

    The rest beyond the largest that is known is put at the largest there is.

    Source: the estimator of E. L. Kaplan and P. Meier (1958), with B. Efron's tail (1967).
    """

    def __init__(self, values: Sequence[tuple[float, bool]]) -> None:
        found = sorted(values)  # of equal ones, those that are known come first
        self.points: list[float] = []
        self._shares: list[float] = []
        left, at_risk, place = 1.0, len(found), 0
        while place < len(found):
            value, known, all_here = found[place][0], 0, 0
            while place < len(found) and found[place][0] == value:
                known += not found[place][1]
                all_here += 1
                place += 1
            if known:
                self._add(value, left * known / at_risk)
                left -= left * known / at_risk
            at_risk -= all_here
        self.tail = left if left > 1e-9 else 0.0
        if self.tail:
            self._add(found[-1][0], self.tail)
        self._sums, self._passed = [0.0], [0.0]
        for value, share in zip(self.points, self._shares, strict=True):
            self._sums.append(self._sums[-1] + value * share)
            self._passed.append(self._passed[-1] + share)

    def _add(self, value: float, share: float) -> None:
        if self.points and self.points[-1] == value:
            self._shares[-1] += share
        else:
            self.points.append(value)
            self._shares.append(share)

    @property
    def mean(self) -> float:
        """The mean."""
        return self._sums[-1] / self._passed[-1]

    def mean_within(self, most: float) -> float:
        """Return the mean of the numbers once *most* has cut them."""
        place = bisect_left(self.points, most)
        if place == len(self.points):  # it cuts nothing, and may be infinite
            return self.mean
        return self._sums[place] + (self._passed[-1] - self._passed[place]) * most

    def parts(self, count: int) -> list[float]:
        """Return the means of *count* parts of equal probability, rising."""
        total = self._passed[-1]
        if len(self.points) == 1:
            return [self.points[0]]
        found, place, before = [], 0, 0.0
        for part in range(1, count + 1):
            bound = total * part / count
            while place < len(self.points) - 1 and self._passed[place + 1] < bound:
                place += 1
            upto = self._sums[place] + (bound - self._passed[place]) * self.points[place]
            found.append((upto - before) * count / total)
            before = upto
        low, high = self.points[0], self.points[-1]
        return sorted(min(high, max(low, part)) for part in found)  # but for rounding they are
