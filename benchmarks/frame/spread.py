"""
What several measurements of one thing come to.

Arithmetic only: medians, extremes, and ratios of what was measured side by side. Knows no clock.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Spread(NamedTuple):
    """The median of some values, and their extremes."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of *values*, at least one."""
        return cls(statistics.median(values), min(values), max(values))

    def as_dict(self, digits: int = 3) -> dict[str, float]:
        """Return it by name, rounded, for JSON."""
        return {name: round(value, digits) for name, value in self._asdict().items()}


def ratios(samples: Mapping[str, Sequence[float]], base: str) -> dict[str, Spread]:
    """
    Return how many times *base* each other variant takes, round by round.

    Round by round and not median by median: a machine that slows down for a while slows both
    sides of a round, and their ratio stays.

    Args:
        samples: Measurements by variant, the same number of each, in the order of the rounds.
        base: The variant that the others are divided by.
    """
    return {
        name: Spread.of([ours / own for ours, own in zip(values, samples[base], strict=True)])
        for name, values in samples.items()
        if name != base
    }
