"""
Holds the ways in which the length of an output may depend on its request. Pure.

Each says what a request makes likely: a number of tokens, a share of its cap, or a multiple of what
its prompt makes likely. What is left is a distribution of factors; a cap cuts what comes of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ratedispatch.simulate.fit.estimate import Residuals, slope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Name: TypeAlias = Literal["tokens", "share", "ratio", "line"]

#: The shapes, the simplest first.
SHAPES: tuple[Name, ...] = ("tokens", "share", "ratio", "line")

#: Of the answers with a cap, the share above which caps do not bound what is billed.
_BEYOND = 0.02


#: The share of the answers that has to be cut before anything is known of their lengths, and by
#: which a longer cap is longer.
_NOTABLE = 0.01


class Sample(NamedTuple):
    """
    An answer.

    Args:
        model: As the row names it.
        prompt: Tokens of its prompt.
        cap: The most tokens of its outputs; 0 for none.
        output: Tokens of its outputs.
        is_cut: Whether the cap cut them, so that they are at least so many.
    """

    model: str
    prompt: int
    cap: int
    output: int
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """
    How lengths depend on a request.

    Args:
        name: ``tokens``, whatever it asks; ``share`` of its cap; ``ratio`` to its prompt; ``line``,
            a number and so much for each token of its prompt.
        residuals: What they are beside that: tokens, shares, or factors.
        n: Answers that this rests on.
        cut: How many of them a cap has cut.
        binds: Whether a cap bounds what is billed; not where reasoning is billed beside it.
        at_none: Of a line, tokens of an empty prompt.
        per_token: Of a line, tokens of output for each of the prompt.
        spread: The standard deviation of lengths around `expected`, as a share of their mean.
        all_lengths: The lengths themselves, whatever was asked; None where those are the residuals.
    """

    name: Name
    residuals: Residuals
    n: int
    cut: int
    binds: bool = True
    at_none: float = 0.0
    per_token: float = 0.0
    spread: float = 0.0
    all_lengths: Residuals | None = None

    def scale(self, prompt: int, cap: int) -> float:
        """Return what a request makes likely: what the residuals are multiplied by."""
        if self.name == "tokens":
            return 1.0
        if self.name == "share":
            return float(cap)
        if self.name == "ratio":
            return float(max(1, prompt))
        return max(1.0, self.at_none + self.per_token * prompt)

    def expected(self, prompt: int, cap: int) -> float:
        """Return the mean length of the outputs of a request; *cap* 0 for none."""
        scale = self.scale(prompt, cap)
        if scale <= 0:  # a share of no cap
            return self.residuals.mean
        bound = cap / scale if cap and self.binds else math.inf
        return scale * self.residuals.mean_within(bound)

    def goes_beyond(self, prompt: int, cap: int) -> bool:
        """Return whether outputs may be longer than any that was seen: those were cut earlier."""
        if self.residuals.tail < _NOTABLE or self.name == "share":
            return False
        longest = self.scale(prompt, cap) * self.residuals.points[-1]
        return not cap or not self.binds or cap > longest * (1 + _NOTABLE)

    def predicted(self, sample: Sample, parts: Sequence[float]) -> list[float]:
        """Return the lengths that *parts* of the residuals make of a request, rising."""
        scale = self.scale(sample.prompt, sample.cap)
        most = sample.cap if sample.cap and self.binds else math.inf
        return [min(scale * part, most) for part in parts]


def shape_of(name: Name, samples: Sequence[Sample]) -> Shape | None:
    """Return the shape called *name* that fits *samples*, one or more; None if it cannot."""
    capped = [one for one in samples if one.cap]
    beyond = sum(one.output > one.cap for one in capped)
    binds = beyond <= _BEYOND * len(capped)
    at_none = per_token = 0.0
    if name == "share" and len(capped) < len(samples):
        return None
    if name in {"ratio", "line"} and any(one.prompt < 1 for one in samples):
        return None
    if name == "line":
        points = [(float(one.prompt), float(one.output)) for one in samples]
        slope = slope_of(points)
        if slope is None or slope.value == 0:
            return None
        per_token = slope.value
        rests = sorted(y - per_token * x for x, y in points)
        at_none = rests[len(rests) // 2]
    empty = Shape(name, Residuals([(1.0, False)]), len(samples), 0, binds, at_none, per_token)
    values = [
        (one.output / empty.scale(one.prompt, one.cap), one.is_cut and binds) for one in samples
    ]
    cut = sum(is_cut for _, is_cut in values)
    return Shape(name, Residuals(values), len(samples), cut, binds, at_none, per_token)


def completed(shape: Shape, samples: Sequence[Sample]) -> Shape:
    """Return *shape* with what is told of it by the *samples* that it was fitted to."""
    gaps = [one.output - shape.expected(one.prompt, one.cap) for one in samples]
    n, total = len(gaps), sum(one.output for one in samples)
    mean = math.fsum(gaps) / n
    degrees = max(1, n - 1)
    sigma = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / degrees)
    lengths = None
    if shape.name in {"ratio", "line"}:
        lengths = Residuals([(float(one.output), one.is_cut and shape.binds) for one in samples])
    return replace(shape, spread=sigma * n / total if total else 0.0, all_lengths=lengths)


def miss_of(predicted: Sequence[float], seen: int) -> float:
    """
    Return how far the rising lengths *predicted*, equally likely, are from the one that was *seen*.

    In natural logarithms: 0.01 is an error of one percent. Zero only for those that are all right.

    Source: the continuous ranked probability score (T. Gneiting and A. E. Raftery, 2007), which no
    prediction but the true distribution betters on average.
    """
    log: Callable[[float], float] = math.log1p
    points, target, n = [log(one) for one in predicted], log(seen), len(predicted)
    near = math.fsum(abs(point - target) for point in points) / n
    apart = math.fsum(point * (2 * place - n + 1) for place, point in enumerate(points))
    return near - apart / (n * n)
