"""
Proposes an output cap that cuts off almost no answers.

Pure: computes a cap from a distribution of lengths and the caps of the rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.simulate.forecast.lengths import Lengths

#: The share of answers that a cap may cut.
MOST_CUT = 0.001

#: A cap is a multiple of this many tokens, so that it reads as what it is: a bound.
_STEP = 8


class SafeCap(NamedTuple):
    """
    A cap that cuts almost no answers.

    Args:
        tokens: The cap.
        cut: Answers that it would cut, as far as is known.
        lowered: Rows whose own cap is higher, or that have none.
    """

    tokens: int
    cut: float
    lowered: int


def safe_cap(
    outputs: Sequence[tuple[Lengths, Sequence[int]]], *, most_cut: float = MOST_CUT
) -> SafeCap | None:
    """
    Return the lowest cap for all rows that cuts no more than *most_cut* of any model's answers.

    None if no row has a higher one, or if answers follow their caps: then each would be cut.

    Args:
        outputs: Of each model, the lengths of its answers in tokens, and the caps of its rows; 0
            for none.
        most_cut: The share of the answers that may be cut.
    """
    tokens = 0
    for lengths, caps in outputs:
        if lengths.are_shares:
            return None
        if caps:
            safe = _safe_tokens(lengths, most_cut)
            tokens = max(tokens, safe if 0 in caps else min(safe, max(caps)))
    lowered, cut = 0, 0.0
    for lengths, caps in outputs:
        count = sum(1 for cap in caps if cap == 0 or cap > tokens)
        lowered += count
        cut += count * sum(1 for part in lengths.parts if part > tokens) / len(lengths.parts)
    return SafeCap(tokens, cut, lowered) if lowered else None


def _safe_tokens(lengths: Lengths, most_cut: float) -> int:
    """Return the lowest cap that cuts no more than *most_cut* of answers of these *lengths*."""
    parts = lengths.parts
    kept = parts[min(len(parts) - 1, math.ceil((1 - most_cut) * len(parts)) - 1)]
    return max(_STEP, math.ceil(kept / _STEP) * _STEP)
