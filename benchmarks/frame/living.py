"""
What several routes allow while they live, and how much of it was used.

Pure arithmetic, in seconds since the start. A route allows its rate as long as it lives, and its
bucket once, which is deeper than what is spent of it at once.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Before that, what is in the buckets at the start is most of what there is.
_FROM_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Living:
    """
    A route.

    Args:
        per_minute: Its limit of requests.
        dead: Start and end of a time in which it answers nothing; the end may be infinite.
        burst: Seconds of its rate that its bucket holds.
    """

    per_minute: float
    dead: tuple[float, float] | None = None
    burst: float = 1.0

    def allowed(self, until: float) -> float:
        """Return the requests that it could have taken until then."""
        lived = until
        if self.dead is not None:
            start, end = self.dead
            lived -= max(0.0, min(until, end) - start)
        return self.per_minute / 60 * (self.burst + max(0.0, lived))


def used(answers: Sequence[float], routes: Sequence[Living], latency: float) -> tuple[float, float]:
    """
    Return the share that was used of what *routes* allow: until the end, and the lowest ever.

    Args:
        answers: When each answer came.
        routes: All of them.
        latency: Seconds that an answer takes; what was sent later cannot be answered.
    """
    ordered = sorted(answers)

    def share(at: float) -> float:
        allowed = sum(route.allowed(at - latency) for route in routes)
        return bisect.bisect_right(ordered, at) / allowed

    end = ordered[-1]
    moments = [_FROM_SECONDS + second for second in range(math.ceil(end - _FROM_SECONDS))]
    return share(end), min([share(at) for at in moments if at < end], default=share(end))
