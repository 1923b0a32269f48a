"""
Checks that the content of a store is possible: others write there, and a server may be open to
anybody.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from ratedispatch.pacing.shared.store import TOTALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.shared.limit_copy import LimitCopy
    from ratedispatch.pacing.shared.store import Sheet, Totals

#: Of a pause, and of a debt: no provider asks for a longer one than a day's limit does.
_LONGEST_SECONDS = 2 * 86_400.0

#: What is learned is no smaller, but for zero. It may be as large as can be: what may be spent of a
#: surplus, and a guess at a limit that is never met, are doubled over and over.
_LEAST = 1e-12


def is_sound(sheet: Sheet, copies: Sequence[LimitCopy]) -> bool:
    """
    Return whether *sheet* is about the limits of *copies*, in numbers that can be reckoned with.

    With NaN, every comparison is false: no request would have to wait any more.
    """
    if not isfinite(sheet.now + sheet.epoch + sheet.news):
        return False
    pause = sheet.pause
    if pause is not None and not (
        isfinite(pause.began) and pause.until - sheet.now <= _LONGEST_SECONDS
    ):
        return False
    if len(sheet.limits) != len(copies):
        return False
    for copy, limit in zip(copies, sheet.limits, strict=True):
        name, totals, available, surplus, ceiling, learned, asked = limit  # once for each exchange
        if (
            name != copy.name
            or len(totals) != TOTALS
            or not isfinite(sum(totals, available + surplus + ceiling))
            or (available < 0 and -available > _LONGEST_SECONDS * copy.limit.bucket.per_second)
            or not asked > 0
            or (learned is not None and not _can_be_learned(learned, copy))
        ):
            return False
    return True


def _can_be_learned(learned: Totals, copy: LimitCopy) -> bool:
    """Whether there are as many numbers as there should be, none of them absurd."""
    is_complete = len(learned) == len(copy.limit.learned())
    return is_complete and isfinite(sum(learned[:3])) and all(map(_is_likely, learned))


def _is_likely(number: float) -> bool:
    size = abs(number)
    return size == 0 or size >= _LEAST
