"""
Fits the number of slots of a server, from latencies and the number in flight.

With more requests in flight than slots, each takes longer by that ratio: latency = latency of a
single request × max(1, in flight / slots). If this does not explain the latencies better, no slots
are reported. Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING

from ratedispatch.simulate.fit.estimate import Estimate, evenly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.simulate.fit.observation import Observation

#: Answers that are examined, and numbers of places that are tried.
_MOST_ANSWERS, _MOST_TRIED = 2_000, 60

#: Answers below which nothing is told.
_ENOUGH = 50

#: How much better places have to explain latencies: in standard errors, and as a share.
_CLEARLY, _NOTABLY = 4.0, 0.05

#: The share of the answers that has to be beyond the places, and within them.
_BEYOND, _WITHIN = 0.1, 0.02


@dataclass(frozen=True, slots=True)
class Alone:
    """
    What answers would have taken alone.

    Args:
        places: How many the server works on at once.
        answers: The answers, with the latencies that they would have had.
    """

    places: Estimate
    answers: list[Observation]


def fit_places(attempts: Sequence[Observation]) -> Alone | None:
    """Return the places of the server that *attempts* went to; None if they do not show."""
    crowds = _crowds(attempts)
    if len(crowds) < _ENOUGH:
        return None
    points = [
        (count, math.log(one.latency))
        for count, one in evenly(crowds, _MOST_ANSWERS)
        if one.latency is not None
    ]
    counts = sorted(count for count, _ in points)
    n = len(points)
    tried = [
        count
        for count in evenly(sorted(set(counts)), _MOST_TRIED)
        if n - bisect_right(counts, count) >= _BEYOND * n
        and bisect_right(counts, count) >= _WITHIN * n
    ]
    if not tried:
        return None
    without = _misses(points, math.inf)
    misses = {count: _misses(points, count) for count in tried}
    best = min(tried, key=lambda count: sum(misses[count]))
    gain, error = _gain(without, misses[best])
    if gain < _CLEARLY * error or gain < _NOTABLY * fmean(without):
        return None
    like = [
        count
        for count in tried
        if (worse := _gain(misses[count], misses[best]))[0] <= 2 * worse[1] + 1e-12
    ]
    places = Estimate(float(best), float(min(like)), float(max(like)), n)
    alone = [
        one._replace(latency=one.latency / max(1.0, count / best))
        for count, one in crowds
        if one.latency is not None
    ]
    return Alone(places, alone)


def _crowds(attempts: Sequence[Observation]) -> list[tuple[int, Observation]]:
    """Return each answer and how many were in flight when it was sent, itself too."""
    # a log rounds: what took no time has ended as it began, and was never in flight
    sent = [one for one in attempts if one.sent is not None and one.latency]
    begins = sorted(one.sent or 0.0 for one in sent)
    ends = sorted((one.sent or 0.0) + (one.latency or 0.0) for one in sent)
    return [
        (bisect_left(begins, at) - bisect_right(ends, at) + 1, one)
        for one in sent
        if one.decision == "answered" and (at := one.sent or 0.0) is not None
    ]


def _misses(points: Sequence[tuple[int, float]], places: float) -> list[float]:
    """Return by how much the logarithm of each latency is missed with so many places."""
    rests = [latency - math.log(max(1.0, count / places)) for count, latency in points]
    middle = median(rests)
    return [abs(rest - middle) for rest in rests]


def _gain(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return by how much *second* misses less than *first*, and the standard error of that."""
    gaps = [mine - other for mine, other in zip(first, second, strict=True)]
    return fmean(gaps), pstdev(gaps) / math.sqrt(len(gaps))
