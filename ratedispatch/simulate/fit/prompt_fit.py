"""
Fits the billed tokens of a prompt to its count: a ratio or a difference. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class PromptFit:
    """
    What is billed for prompts: *ratio* × what was counted + *difference*.

    Args:
        ratio: Tokens billed for each that was counted.
        difference: Tokens billed beside these.
        spread: The standard deviation of what is billed around that, in tokens.
        n: Answers that this rests on.
    """

    ratio: float = 1.0
    difference: float = 0.0
    spread: float = 0.0
    n: int = 0

    def billed(self, counted: float) -> float:
        """Return what is likely to be billed for a prompt of *counted* tokens."""
        return self.ratio * counted + self.difference


def fit_prompts(pairs: Sequence[tuple[int, int]]) -> PromptFit:
    """Return what was billed beside what was counted, for *pairs* of counted and billed tokens."""
    if not pairs:
        return PromptFit()
    middle = median(billed - counted for counted, billed in pairs)
    counted_all, billed_all = sum(c for c, _ in pairs), sum(b for _, b in pairs)
    ratio = billed_all / counted_all if counted_all else 1.0
    by_difference = sum(abs(billed - counted - middle) for counted, billed in pairs)
    by_ratio = sum(abs(billed - ratio * counted) for counted, billed in pairs)
    if by_difference <= by_ratio:
        # the mean, once it is a difference: it is the sum that is requested
        difference = (billed_all - counted_all) / len(pairs)
        found = PromptFit(1.0, difference)
    else:
        found = PromptFit(ratio, 0.0)
    gaps = [billed - found.billed(counted) for counted, billed in pairs]
    spread = math.sqrt(math.fsum(gap * gap for gap in gaps) / len(gaps))
    return PromptFit(found.ratio, found.difference, spread, len(pairs))
