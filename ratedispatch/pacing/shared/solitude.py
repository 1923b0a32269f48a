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
    How long, and how much, a process may spend before it looks at the store again.

    Attributes:
        until: When it must look again, in seconds; minus infinity if at once.
        bounds: The account of each limit, and the sum up to which it may be spent.
    """

    __slots__ = ("bounds", "until")

    def __init__(self) -> None:
        self.until = -math.inf
        self.bounds: list[tuple[Account, float]] = []

    def begin(self, until: float, copies: Sequence[LimitCopy], seconds: float) -> None:
        """
        Note that no other process was there just now.

        Args:
            until: When the process must look again, in seconds.
            copies: The copies of the limits.
            seconds: How many seconds of the rate may be spent before the store is told.
        """
        self.until = until
        self.bounds = [(copy.limit.account, copy.most_spent(seconds)) for copy in copies]
