"""
Proposes a cap on outputs that cuts next to no answer.

Pure: a distribution of lengths and the caps of the rows in, a cap out.
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
    A cap that cuts next to no answer.

    Args:
        tokens: The cap.
        cut: Answers that it would cut, as far as is known.
        lowered: Rows whose own cap is higher, or that have none.
    """

    tokens: int
    cut: float
    lowered: int


def safe_cap(
    lengths: Lengths, caps: Sequence[int], *, most_cut: float = MOST_CUT
) -> SafeCap | None:
    """
    Return the lowest cap that cuts no more than *most_cut* of the answers; None if none helps.

    Args:
        lengths: The lengths of answers, in tokens.
        caps: The cap of each row; 0 for none.
        most_cut: The share of the answers that may be cut.
    """
    if lengths.are_shares or not caps:
        return None
    parts = lengths.parts
    # a part is the mean of so many lengths: the longest of the last part are longer
    kept = parts[min(len(parts) - 1, math.ceil((1 - most_cut) * len(parts)) - 1)]
    tokens = max(_STEP, math.ceil(kept / _STEP) * _STEP)
    lowered = sum(1 for cap in caps if cap == 0 or cap > tokens)
    if not lowered:
        return None
    longer = sum(1 for part in parts if part > tokens) / len(parts)
    return SafeCap(tokens, longer * lowered, lowered)
