"""
Fits the lengths of outputs: which shape for which rows.

Chooses the shape that best predicts answers it has not seen, by the score of `miss_of` over five
parts of the answers, each predicted from the other four. Of two that do not differ significantly,
it takes the simpler one. Pure; the answers are divided into parts by a seeded random generator.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ratedispatch.simulate.fit.estimate import evenly
from ratedispatch.simulate.fit.output_shapes import (
    SHAPES,
    Name,
    Sample,
    Shape,
    completed,
    miss_of,
    shape_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Parts that the answers are dealt into.
_FOLDS = 5

#: Answers that the choice is made with, and parts of a distribution that is scored.
_MOST_SCORED, _PARTS = 1_000, 32

#: Standard errors by which a less simple one has to be better.
_CLEARLY = 2.0

#: Answers of a kind of rows below which they are not examined separately.
_ENOUGH = 20

#: What rows are told apart by: their model, and whether they have a cap.
Key: TypeAlias = tuple[str, bool | None]


def _all(_: Sample) -> Key:
    return "", None


def _by_cap(one: Sample) -> Key:
    return "", one.cap > 0


def _by_model(one: Sample) -> Key:
    return one.model, None


def _by_both(one: Sample) -> Key:
    return one.model, one.cap > 0


#: The ways to tell rows apart, the simplest first.
_PARTITIONS: tuple[Callable[[Sample], Key], ...] = (_all, _by_cap, _by_model, _by_both)


@dataclass(frozen=True, slots=True)
class OutputFit:
    """
    How long outputs are.

    Args:
        shapes: By model (empty for all) and whether there is a cap (None for both).
        miss: By how much a length is missed on average, as a share of it.
        n: Answers that this rests on.
        mean: Tokens of their mean.
    """

    shapes: Mapping[Key, Shape]
    miss: float
    n: int
    mean: float

    def of(self, model: str, cap: int) -> Shape:
        """Return the shape for a row of *model* whose outputs have *cap*, 0 for none."""
        shapes = self.shapes
        for key in ((model, cap > 0), (model, None), ("", cap > 0)):
            if key in shapes:
                return shapes[key]
        return shapes["", None]


def fit_outputs(samples: Sequence[Sample]) -> OutputFit | None:
    """Return how long outputs are; None without *samples*."""
    if not samples:
        return None
    scored = list(evenly(samples, _MOST_SCORED))
    random.Random(1).shuffle(scored)
    candidates: list[_Found] = []
    places: list[int] = []
    for place, key_of in enumerate(_PARTITIONS):
        candidate = _partition(samples, scored, key_of, candidates[0] if candidates else None)
        if candidate is not None:
            candidates.append(candidate)
            places.append(place)
    choice = _choice([misses for _, misses in candidates])
    found, misses = candidates[choice]
    cells = _cells(samples, _PARTITIONS[places[choice]])
    shapes = {key: completed(shape, cells[key]) for key, shape in found.items()}
    if choice:  # for the rows that are of none of these
        shapes["", None] = completed(candidates[0][0]["", None], samples)
    mean = math.fsum(one.output for one in samples) / len(samples)
    return OutputFit(shapes, math.fsum(misses) / len(misses), len(samples), mean)


_Found: TypeAlias = tuple[dict[Key, Shape], list[float]]


def _partition(
    samples: Sequence[Sample],
    scored: Sequence[Sample],
    key_of: Callable[[Sample], Key],
    whole: _Found | None,
) -> _Found | None:
    """Return the shapes of rows told apart by *key_of*, and the miss of each of *scored*."""
    cells = _cells(samples, key_of)
    if whole is not None and len(cells) < 2:
        return None  # as the whole
    places: dict[Key, list[int]] = {}
    for place, one in enumerate(scored):
        places.setdefault(key_of(one), []).append(place)
    shapes, misses = {}, [0.0] * len(scored) if whole is None else list(whole[1])
    for key, members in cells.items():
        of_cell = places.get(key, [])
        if whole is not None and (len(members) < _ENOUGH or len(of_cell) < _ENOUGH):
            continue
        shapes[key], found = _best(members, [scored[place] for place in of_cell])
        for place, miss in zip(of_cell, found, strict=True):
            misses[place] = miss
    return (shapes, misses) if shapes else None


def _cells(samples: Sequence[Sample], key_of: Callable[[Sample], Key]) -> dict[Key, list[Sample]]:
    cells: dict[Key, list[Sample]] = {}
    for one in samples:
        cells.setdefault(key_of(one), []).append(one)
    return cells


def _best(members: Sequence[Sample], scored: Sequence[Sample]) -> tuple[Shape, list[float]]:
    """Return the best shape of some rows, fitted to all *members*, and its misses."""
    found: list[tuple[Shape, list[float]]] = []
    names: list[Name] = []
    for name in SHAPES if len(scored) >= _ENOUGH else SHAPES[:1]:
        misses = _misses(name, scored)
        shape = None if misses is None else shape_of(name, evenly(members, _MOST_SCORED))
        if shape is not None and misses is not None:
            names.append(name)
            found.append((shape, misses))
    choice = _choice([misses for _, misses in found])
    shape = shape_of(names[choice], members)
    return (shape or found[choice][0]), found[choice][1]


def _misses(name: Name, scored: Sequence[Sample]) -> list[float] | None:
    """Return by how much each of *scored* is missed by a shape fitted to others of them."""
    if len(scored) < 2:
        return [0.0] * len(scored)
    folds = min(_FOLDS, len(scored))
    misses = [0.0] * len(scored)
    for fold in range(folds):
        others = [one for place, one in enumerate(scored) if place % folds != fold]
        shape = shape_of(name, others)
        if shape is None:
            return None
        parts = shape.residuals.parts(_PARTS)
        for place in range(fold, len(scored), folds):
            one = scored[place]
            misses[place] = miss_of(shape.predicted(one, parts), one.output)
    return misses


def _choice(columns: Sequence[Sequence[float]]) -> int:
    """Return the place of the first of *columns* that chance alone may make worse than the best."""
    best = min(range(len(columns)), key=lambda place: (math.fsum(columns[place]), place))
    for place, column in enumerate(columns):
        gaps = [mine - other for mine, other in zip(column, columns[best], strict=True)]
        n = max(1, len(gaps))
        mean = math.fsum(gaps) / n
        spread = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / n / n)
        if mean <= _CLEARLY * spread + 1e-9:
            return place
    return best
