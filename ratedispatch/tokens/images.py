"""
What an image costs, by its size and the model's rule.

Decides tokens from width, height and detail. Knows nothing of requests or of reading files.
Source: developers.openai.com/api/docs/guides/images-vision, "Calculating costs".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_PATCH = 32  # px
_TILE = 512  # px
_FIT = 2_048  # px: a tile image is first scaled to fit a square of this side
_SHORTEST = 768  # px: then so that its shortest side is at most this
_LOW_DETAIL = "low"
_ORIGINAL_DETAIL = "original"


@dataclass(frozen=True, slots=True)
class Tiles:
    """*base* tokens and *tile* for each 512 px tile; a ``low`` image costs the base."""

    base: int
    tile: int

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Return the tokens of an image of *width* × *height* px; ``auto`` counts as high."""
        if detail == _LOW_DETAIL:
            return self.base
        width, height = _shrink(width, height, _FIT / max(width, height))
        width, height = _shrink(width, height, _SHORTEST / min(width, height))
        return self.base + self.tile * (-(-width // _TILE)) * (-(-height // _TILE))


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
            width, height = _shrink(width, height, side / max(width, height))
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
    scale *= min(math.floor(across) / across, math.floor(down) / down)
    if not scale:  # narrower than one patch at this scale: the guide has no rule
        return budget
    return min(_patches(round(width * scale), round(height * scale)), budget)


def _patches(width: int, height: int) -> int:
    return -(-width // _PATCH) * -(-height // _PATCH)


def _shrink(width: int, height: int, scale: float) -> tuple[int, int]:
    if scale >= 1:
        return width, height
    return max(1, round(width * scale)), max(1, round(height * scale))
