"""
Writes the headers that describe limits, as OpenAI does.

Whole numbers: a limit, what remains of it rounded down, and the time until it is full again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ratedispatch.simulate.provider.go_durations import go_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.simulate.provider.windows import Window

_HEADER_NAMES = {
    name: tuple(f"x-ratelimit-{what}-{name}" for what in ("limit", "remaining", "reset"))
    for name in ("requests", "tokens")
}


def describe_limits(
    headers: dict[str, str], shown: Iterable[tuple[str, Window]], factor: float, now: float
) -> None:
    """
    Add to *headers* what they say of the limits.

    Args:
        headers: By lower-case name.
        shown: Dimension and window of each limit that is described.
        factor: What limits and remaining amounts are multiplied by.
        now: Loop time in seconds.
    """
    for name, window in shown:
        most, remaining = window.limit, max(0.0, window.remaining(now))
        if factor != 1.0:
            most, remaining = math.floor(most * factor + 1e-6), remaining * factor
        limit, left, reset = _HEADER_NAMES[name]
        headers[limit] = f"{most:.0f}"
        headers[left] = str(math.floor(remaining + 1e-6))
        headers[reset] = go_duration(window.reset(now))
