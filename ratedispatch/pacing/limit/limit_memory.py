"""
What one run has found out about a limit, for the next run.

A value that checks itself: it comes from a file. Says how it changes what a limit begins with, and
nothing of how it ages or where it is kept.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.charge_rule import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.limits import Rate
    from ratedispatch.pacing.limit.charge_rule import ChargeRule

#: No real limit is beyond these numbers.
_LEAST, _MOST = 1e-3, 1e12


@dataclasses.dataclass(frozen=True, slots=True)
class LimitMemory:
    """
    What is known of one limit.

    Args:
        dimension: What is limited, as `Rate` names it.
        per_minute: The limit that was told or found; None if none was.
        reached: What went through per minute without a limit being met; None if one was.
        rule: The charge rule whose predictions came true; None if none was found.
        spent: What of a limit per day has gone and has not flowed back; None of other limits.
        per_day: That limit; 0 of other limits.
        is_shared: Whether *spent* is what all processes have spent that share the limit.

    Raises:
        ValueError: A number is out of its range, or the rule is none of its dimension.
    """

    dimension: str
    per_minute: float | None = None
    reached: float | None = None
    rule: ChargeRule | None = None
    spent: float | None = None
    per_day: float = 0.0
    is_shared: bool = False

    def __post_init__(self) -> None:
        for amount in (self.per_minute, self.reached):
            if amount is not None and not _LEAST <= amount <= _MOST:
                raise ValueError(f"{amount} per minute is not a limit")
        if self.spent is not None and not 0 <= self.spent <= _MOST:
            raise ValueError(f"{self.spent} is not an amount that can be spent in a day")
        if self.rule is not None and self.rule not in FAMILIES.get(self.dimension, ()):
            raise ValueError(f"{self.rule} is not a way to charge {self.dimension}")

    def applied(self, rate: Rate, burst_of: Callable[[float], float]) -> Rate:
        """Return *rate* with what was found in place of a limit that is to be learned."""
        amount = self.per_minute
        if amount is None:  # a guess continues from where it was; never from below its start
            amount = max(rate.per_minute, self.reached or 0.0)
        if not rate.is_auto:
            return rate  # what the user says counts more than what was found once
        return dataclasses.replace(rate, per_minute=amount, burst=burst_of(amount))

    def rule_beside(self, rule: ChargeRule | None, dimension: str) -> ChargeRule | None:
        """Return the rule to begin with in place of *rule*, which is that of a policy."""
        return self.rule if self.rule in FAMILIES.get(dimension, ()) else rule

    def spent_of(self, rate: Rate) -> float:
        """Return the used part of the budget that *rate* allows, at most all of it."""
        return min(rate.burst, self.spent or 0.0) if rate.is_daily else 0.0
