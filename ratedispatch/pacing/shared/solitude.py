"""
Decides how long a process that is alone may spend from its copy without looking at the store.

A look costs as much as an admission, and nearly always shows that nothing has changed. Knows no
store and reads no clock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.limit.account import Account
    from ratedispatch.pacing.shared.limit_copy import LimitCopy


class Solitude:
    """
    What a process knows of being alone since it last looked.

    Attributes:
        until: When it has to look again, in seconds; minus infinity while it has to at once.
        bounds: Of each limit, its sums, and up to what may be spent by them without another look.
    """

    __slots__ = ("bounds", "until")

    def __init__(self) -> None:
        self.until = -math.inf
        self.bounds: list[tuple[Account, float]] = []

    def begin(self, until: float, copies: Sequence[LimitCopy], seconds: float) -> None:
        """
        Note that nobody else was there just now.

        Args:
            until: As above.
            copies: The copies of the limits.
            seconds: What flows into each in so long may be spent before the store is told.
        """
        self.until = until
        self.bounds = [(copy.limit.account, copy.most_spent(seconds)) for copy in copies]
