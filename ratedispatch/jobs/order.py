"""
Decides in which order the rows of a file are read. Pure.

A file sorted by length is bound by requests per minute in one half and by tokens per minute in the
other, and takes as long as both. If it is read from many positions in turn, rows of all lengths are
mixed, and both limits are used at the same time. If that gains nothing, rows are read in the order
of the file.
"""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from ratedispatch.groups import LimitGroups
from ratedispatch.limits import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.jobs.state.scan import Scan
    from ratedispatch.limits import Limits
    from ratedispatch.simulate.forecast.workload import Workload

OrderName = Literal["file", "interleave"]


class Order(StrEnum):
    """In which order rows are read."""

    AUTO = "auto"
    """That of the file, unless it is sorted by length."""
    INTERLEAVE = "interleave"
    """From many places of the file in turn."""
    FILE = "file"
    """That of the file."""


#: Parts of a file that are compared: fewer see less, and more have fewer rows, whose sizes differ
#: by chance.
PARTS = 16

#: Share of the time by which reading in turn has to be faster.
_WORTH = 0.05

#: Of a normal distribution, the mean of what is above its mean is 0.4 of its deviation; twice that
#: is left to chance.
_CHANCE = 2 * 0.4


def is_interleaved(order: Order | str, scan: Scan, limits: Limits | LimitGroups) -> bool:
    """
    Return whether rows are read from many places in turn.

    Args:
        order: What was requested.
        scan: What was found in the input.
        limits: What the account may spend, or what groups of models may.
    """
    return _is_worth(order, limits, lambda: (scan.parts(PARTS), scan.deviation))


def order_of(order: str, workload: Workload, limits: Limits | LimitGroups) -> OrderName:
    """Return the order in which the rows of *workload* are sent by a job with that *order*."""

    def seen() -> tuple[list[tuple[int, float]], float]:
        """Return rows and tokens of each part, and the relative deviation of the sizes."""
        sizes = list(map(int.__add__, workload.prompt, workload.output))
        rows, tokens = len(sizes), sum(sizes)
        cuts = sorted({rows * part // PARTS for part in range(PARTS + 1)})
        parts = [(end - begin, float(sum(sizes[begin:end]))) for begin, end in pairwise(cuts)]
        squares = sum(size * size for size in sizes)
        variance = squares * rows / tokens**2 - 1 if tokens else 0.0
        return parts, math.sqrt(max(0.0, variance))

    return "interleave" if _is_worth(order, limits, seen) else "file"


def _is_worth(
    order: str,
    limits: Limits | LimitGroups,
    seen: Callable[[], tuple[Sequence[tuple[int, float]], float]],
) -> bool:
    """Whether rows are to be interleaved, of which *seen* tells the parts and the deviation."""
    if order != Order.AUTO:
        return order == Order.INTERLEAVE
    if isinstance(limits, LimitGroups):
        return True  # rows sorted by their model would use the limits of one group at a time
    limited = {rate.dimension for rate in limits.rates()}
    if not limited >= {"requests", "tokens"}:
        return False
    requests, tokens = limits.known("requests"), limits.known("tokens")
    rates = None
    if requests is not None and tokens is not None:
        rates = (requests / MINUTE, tokens / MINUTE)
    return is_sorted(*seen(), rates)


def is_sorted(
    parts: Sequence[tuple[int, float]],
    deviation: float,
    rates: tuple[float, float] | None = None,
) -> bool:
    """
    Whether the limits would be used in turn rather than at once if rows went in their order.

    Args:
        parts: The rows and the tokens of each part of the file, in its order; shape (n, 2).
        deviation: The deviation of the tokens of a row, as a share of their mean.
        rates: Requests and tokens per second that are allowed; None if they are not known, and
            then those at which both limits take equally long.
    """
    rows, tokens = sum(part[0] for part in parts), sum(part[1] for part in parts)
    if not rows or not tokens or not parts:
        return False
    per_request, per_token = (1 / rows, 1 / tokens)
    if rates is not None:
        per_request, per_token = 1 / rates[0], 1 / rates[1]
    together = max(rows * per_request, tokens * per_token)
    in_turn = sum(max(part[0] * per_request, part[1] * per_token) for part in parts)
    chance = _CHANCE * deviation / math.sqrt(rows / len(parts))
    return in_turn > together * (1 + _WORTH + chance)
