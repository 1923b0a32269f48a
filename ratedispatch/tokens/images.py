"""
What an image costs, by its size and the model's rule.

Takes width, height and detail; `pixels` reads them from files.
Source: developers.openai.com/api/docs/guides/images-vision, "Calculating costs".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_PATCH = 32  # px
_TILE = 512  # px
_FIT = 2_048  # px: a tile image is first scaled to fit a square of this side
_LOW_DETAIL = "low"
_ORIGINAL_DETAIL = "original"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What an image costs besides with ``input_fidelity: high``: *square*, or *oblong*."""

    square: int
    oblong: int


@dataclass(frozen=True, slots=True)
class Tiles:
    """
    *base* tokens and *tile* for each 512 px tile; a ``low`` image costs the base.

    Args:
        base: Tokens of any image.
        tile: Tokens of a tile.
        shortest: An image that fits is scaled so that its shortest side is at most this, in px.
        fidelity: The surcharge of high fidelity, for a model that has one.
        is_faithful: Whether it is charged.
    """

    base: int
    tile: int
    shortest: int = 768
    fidelity: Fidelity | None = None
    is_faithful: bool = False

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Return the tokens of an image of *width* × *height* px; ``auto`` counts as high."""
        base = self.base
        if self.fidelity is not None and self.is_faithful:
            base += self.fidelity.square if width == height else self.fidelity.oblong
        if detail == _LOW_DETAIL:
            return base
        short, long = sorted((width, height))
        fitted = min(long, _FIT)
        if short * fitted > self.shortest * long:  # the side that is fitted is still too wide
            short, long = self.shortest, -(-long * self.shortest // short)
        else:
            short, long = -(-short * fitted // long), fitted
        return base + self.tile * (-(-short // _TILE)) * (-(-long // _TILE))


@dataclass(frozen=True, slots=True)
class Patches:
    """
    A token for each 32 px patch, times *percent* / 100.

    Args:
        budget: The most patches an image may have; a larger one is scaled down.
        percent: The multiplier, in hundredths, so that rounding up is exact.
        side: An image is first scaled so that no side is above this, in px.
        low_side: With detail ``low`` no side is above this, in px.
        original_budget: The budget with detail ``original``.
        original_side: The largest side with detail ``original``, in px.
        auto_is_original: Whether ``auto`` means ``original`` rather than ``high``.
    """

    budget: int
    percent: int
    side: int | None = None
    low_side: int | None = None
    original_budget: int | None = None
    original_side: int | None = None
    auto_is_original: bool = False

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Return the tokens of an image of *width* × *height* px."""
        budget, side = self.budget, self.side
        if detail == _LOW_DETAIL and self.low_side is not None:
            side = self.low_side
        elif self.original_budget is not None and (
            detail == _ORIGINAL_DETAIL or (self.auto_is_original and detail != "high")
        ):
            budget, side = self.original_budget, self.original_side
        if side is not None:
            width, height = _shrink(width, height, side)
        return -(-count_patches(width, height, budget) * self.percent // 100)


ImageRule = Tiles | Patches


def count_patches(width: int, height: int, budget: int) -> int:
    """
    Return the 32 px patches of *width* × *height* px, scaled down to at most *budget*.

    Source: the images guide, "If the number of patches exceeds the budget", where the scale is
    lowered again so that one side is a whole number of patches.
    """
    patches = _patches(width, height)
    if patches <= budget:
        return patches
    scale = math.sqrt(_PATCH * _PATCH * budget / (width * height))
    across, down = width * scale / _PATCH, height * scale / _PATCH
    whole_across, whole_down = math.floor(across), math.floor(down)
    if not (whole_across and whole_down):  # narrower than one patch: the guide has no rule
        return budget
    # the side that loses more becomes a whole number of patches, the other follows, rounded up:
    # in integers, because in floats a whole number of patches may come out as one more
    if whole_across * down < whole_down * across:
        patches = whole_across * -(-whole_across * height // width)
    else:
        patches = whole_down * -(-whole_down * width // height)
    return min(patches, budget)


def _patches(width: int, height: int) -> int:
    return -(-width // _PATCH) * -(-height // _PATCH)


def _shrink(width: int, height: int, most: int) -> tuple[int, int]:
    """Return the size with no side above *most*; rounded up, so that no row of pixels is lost."""
    longest = max(width, height)
    if longest <= most:
        return width, height
    return -(-width * most // longest), -(-height * most // longest)
