"""
Holds the distribution of output lengths: in tokens, or in shares of a row's cap.

Values only; the source of randomness is a parameter.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

#: Parts of equal probability that a distribution is cut into.
PARTS = 1_000

#: How a distribution is written, for messages.
FORMS = "N, uniform:LOW:HIGH, normal:MEAN:SIGMA, lognormal:MEDIAN:SIGMA or exponential:MEAN"


@dataclass(frozen=True, slots=True)
class Lengths:
    """
    A distribution of the lengths of outputs.

    Args:
        parts: The mean length in each of so many parts of equal probability, rising. Means and
            not quantiles, so that the mean of the whole is exact.
        are_shares: Whether these are shares (0..1) of a row's cap instead of tokens.
        text: How it was written, for messages; empty for one that was fitted.
        uncapped: Those of rows without a cap, where they are others; None if they are the same.

    Raises:
        ValueError: There is no part, or one is negative or not finite.
    """

    parts: tuple[float, ...]
    are_shares: bool = False
    text: str = ""
    uncapped: Lengths | None = None

    def __post_init__(self) -> None:
        if not self.parts or not all(0 <= part < math.inf for part in self.parts):
            raise ValueError("lengths must be numbers of tokens, zero or more, and at least one")

    @classmethod
    def of(cls, samples: Iterable[float], *, are_shares: bool = False) -> Self:
        """Return the distribution of *samples*, of which there is at least one."""
        found = sorted(samples)
        if len(found) <= PARTS:
            return cls(tuple(found), are_shares)
        bounds = [round(part * len(found) / PARTS) for part in range(PARTS + 1)]
        means = tuple(
            math.fsum(found[first:last]) / (last - first)
            for first, last in itertools.pairwise(bounds)
        )
        return cls(means, are_shares)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the distribution that *text* writes down, in one of `FORMS`.

        Raises:
            ValueError: It is written otherwise, or its numbers make no sense.
        """
        name, *rest = text.strip().lower().split(":")
        try:
            numbers = [float(number) for number in (rest or [name])]
            return cls(tuple(_parts_of(name if rest else "fixed", numbers)), text=text)
        except (ArithmeticError, KeyError, TypeError, ValueError):
            raise ValueError(f"{text!r:.80} is not a distribution of tokens: {FORMS}") from None

    @property
    def mean(self) -> float:
        """The mean, in tokens or as a share of the cap."""
        return math.fsum(self.parts) / len(self.parts)

    def quantile(self, share: float) -> float:
        """Return the length that *share* (0..1) of all do not exceed."""
        return self.parts[min(len(self.parts) - 1, int(share * len(self.parts)))]

    def draw(self, rng: random.Random, cap: int) -> int:
        """Return the length of one output in tokens: at least 1, and at most *cap* unless 0."""
        if not cap and self.uncapped is not None:
            return self.uncapped.draw(rng, 0)
        parts = self.parts
        part = parts[0] if len(parts) == 1 else parts[int(rng.random() * len(parts))]
        return self._within(part, cap)

    def mean_within(self, cap: int) -> float:
        """Return the mean length in tokens of outputs that *cap* cuts; 0 cuts nothing."""
        if not cap and self.uncapped is not None:
            return self.uncapped.mean_within(0)
        return math.fsum(self._within(part, cap) for part in self.parts) / len(self.parts)

    def _within(self, part: float, cap: int) -> int:
        tokens = max(1, round(part * cap if self.are_shares else part))
        return min(tokens, cap) if cap else tokens


def _parts_of(name: str, numbers: list[float]) -> Iterable[float]:
    """Yield the mean of each part of a distribution called *name*."""
    if not all(0 <= number < math.inf for number in numbers):
        raise ValueError(name)
    if name == "fixed":
        (length,) = numbers
        return (length,)
    inverse = _INVERSES[name](*numbers)
    # the mean of a part by five points of its quantiles, which is exact to a thousandth
    steps = [(part + (point + 0.5) / 5) / PARTS for part in range(PARTS) for point in range(5)]
    found = [max(0.0, inverse(step)) for step in steps]
    return [math.fsum(found[first : first + 5]) / 5 for first in range(0, len(found), 5)]


def _uniform(low: float, high: float) -> Callable[[float], float]:
    if low > high:
        raise ValueError(low)
    return lambda share: low + share * (high - low)


def _normal(mean: float, sigma: float) -> Callable[[float], float]:
    return NormalDist(mean, sigma).inv_cdf if sigma else lambda _: mean


def _lognormal(median: float, sigma: float) -> Callable[[float], float]:
    normal = _normal(0.0, sigma)
    return lambda share: median * math.exp(normal(share))


def _exponential(mean: float) -> Callable[[float], float]:
    return lambda share: -mean * math.log1p(-share)


_INVERSES: dict[str, Callable[..., Callable[[float], float]]] = {
    "uniform": _uniform,
    "normal": _normal,
    "lognormal": _lognormal,
    "exponential": _exponential,
}
