"""
Holds the result of trying a setting, and decides which of several is the best.

Values only. Rows that are answered count first, then time, money, refusals, and how much would have
to be changed; times and costs that differ by less than a hundredth count as equal, since no
prediction is closer than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ratedispatch.simulate.tune.setting import Setting

#: The gain from which on a change is worth making, as a share.
WORTH = 0.01

#: Latencies that differ by less are alike, as a share.
ALIKE = 0.02

#: Refused requests beyond the fewest, and answers short of the most, that make no difference, as a
#: share of the rows.
FEW = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    What came of a setting.

    Args:
        setting: The positions of the knobs.
        seconds: From the first request sent to the last answer; infinite if it did not end.
        rows: Rows answered.
        usd: What it costs; None if prices are not known.
        refused: Requests that the provider refused.
        in_flight: The mean of requests unanswered at once.
        peak: The most of these.
        binding: What held the job back for the longest time; empty if nothing did.
        shares: The share of each limit that was used, by dimension.
        cut: Answers that a cap would cut.
        method: What played it: ``model`` or ``engine``.
        stop: Why it would not end, in a sentence; empty if it does.
    """

    setting: Setting
    seconds: float
    rows: int = 0
    usd: float | None = None
    refused: int = 0
    in_flight: float = 0.0
    peak: int = 0
    binding: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    cut: float = 0.0
    method: str = "model"
    stop: str = ""

    @property
    def latency(self) -> float:
        """Mean seconds of an answer, by Little's law."""
        if not self.rows or self.seconds == math.inf:
            return 0.0
        return self.in_flight * self.seconds / self.rows


def best_of(trials: Iterable[Trial], default: Setting) -> Trial:
    """
    Return the best of *trials*, of which there is at least one.

    Args:
        trials: What was tried.
        default: What nothing would have to be changed for.
    """
    left = list(trials)
    if all(one.seconds == math.inf for one in left):  # no change helps
        return min(left, key=lambda one: len(one.setting.changes(default)))
    # a job whose rows fail is soon over
    most = max(one.rows for one in left if one.seconds < math.inf)
    left = [one for one in left if one.rows >= most * (1 - FEW)]
    left = _cheapest(_shortest(left))
    few = min(one.refused for one in left)
    left = [one for one in left if one.refused <= few + FEW * one.rows]
    changes = min(len(one.setting.changes(default)) for one in left)
    left = [one for one in left if len(one.setting.changes(default)) == changes]
    # of settings that are as fast, one that keeps no more requests waiting at the server
    soon = min(one.latency for one in left) * (1 + ALIKE)
    left = [one for one in left if one.latency <= soon]
    # and one that trusts the depth of a bucket no more than it has to
    return min(left, key=lambda one: (_bound(one), one.setting.burst_seconds, repr(one.setting)))


def _shortest(trials: list[Trial]) -> list[Trial]:
    least = min(one.seconds for one in trials)
    return [one for one in trials if one.seconds <= least * (1 + WORTH)]


def _cheapest(trials: list[Trial]) -> list[Trial]:
    known = [one.usd for one in trials if one.usd is not None]
    if len(known) < len(trials):
        return trials
    least = min(known)
    return [one for one in trials if one.usd is not None and one.usd <= least * (1 + WORTH)]


def _bound(trial: Trial) -> float:
    """Return the most in flight; a number that follows from the rate comes before any."""
    number = trial.setting.max_in_flight
    return number if isinstance(number, int) else 0 if number is None else math.inf


def frontier(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """
    Return the points of time and cost that no other one beats in both, by rising time.

    Args:
        points: Seconds and USD.
    """
    found: list[tuple[float, float]] = []
    for seconds, usd in sorted(set(points)):
        if not found or usd < found[-1][1]:
            found.append((seconds, usd))
    return found
