"""
The parts of one limit, and how it stands.

Only tells; what changes a limit is in :mod:`ratedispatch.pacing.limit.tracked`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.dimension import dimension_named
from ratedispatch.pacing.bucket import Bucket
from ratedispatch.pacing.limit.account import Account, Ledger
from ratedispatch.pacing.limit.charge_rule import FAMILIES, amount_by
from ratedispatch.pacing.limit.level import LevelTracker
from ratedispatch.pacing.limit.limit_memory import LimitMemory
from ratedispatch.pacing.limit.limit_source import LimitSource
from ratedispatch.pacing.limit.opening import Opening
from ratedispatch.pacing.limit.rule_finder import RuleFinder
from ratedispatch.pacing.limit.tuning import DEFAULT, LimitTuning

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.limits import Rate
    from ratedispatch.pacing.limit.arrival_window import ArrivalWindow
    from ratedispatch.pacing.limit.charge_rule import ChargeRule
    from ratedispatch.pacing.limit.counted_window import CountedWindow
    from ratedispatch.request import Cost


class LimitState:
    """
    A bucket and the parts that correct it.

    Args:
        rate: As the user set it.
        burst_of: Returns what may go at once of another limit per minute.
        refunds: Whether the provider is known to give back what a request did not use.
        rule: How the provider is expected to charge, where there are several ways; the right one
            is found out from what it says.
        tuning: The constants of the parts.
        memory: What an earlier run has found of it.

    Attributes:
        account: What went through.
        ledger: The same under every way of counting; None where there is one only.
        amount_of: What a cost amounts to, by the rule in force.
        is_daily: Whether it is a limit of a day, whatever happens to the rate.
    """

    __slots__ = (
        "_arrivals",
        "_bucket",
        "_finder",
        "_level",
        "_newest",
        "_opening",
        "_spent_before",
        "_tuning",
        "_window",
        "account",
        "amount_of",
        "is_daily",
        "ledger",
        "source",
    )

    def __init__(
        self,
        rate: Rate,
        burst_of: Callable[[float], float],
        *,
        refunds: bool = False,
        rule: ChargeRule | None = None,
        tuning: LimitTuning = DEFAULT,
        memory: LimitMemory | None = None,
    ) -> None:
        is_recalled = memory is not None and memory.per_minute is not None and rate.is_auto
        if memory is not None:
            rate = memory.applied(rate, burst_of)
            rule = memory.rule_beside(rule, rate.dimension)
        self._spent_before = 0.0 if memory is None else memory.spent_of(rate)
        self.is_daily = rate.is_daily  # whatever happens to the rate
        self.account = Account()
        self._bucket = Bucket(rate)
        self._opening = Opening(tuning.opening)
        self.source = LimitSource(rate, burst_of, tuning.source, is_recalled=is_recalled)
        self.amount_of: Callable[[Cost], float] = dimension_named(rate.dimension).of_cost
        self.ledger: Ledger | None = None
        self._finder: RuleFinder | None = None
        if rule is not None:
            refunds = rule.refunds
            self.ledger = Ledger()
            self._finder = RuleFinder(FAMILIES[rate.dimension], rule, tuning.rules)
            if memory is not None and memory.rule is not None:
                self.amount_of = amount_by(rule)
        self._level = LevelTracker(
            self._bucket, self.account, self.source, refunds=refunds, tuning=tuning
        )
        self._tuning = tuning
        self._arrivals: ArrivalWindow | None = None
        # where a counter starts over as a whole
        self._window: ArrivalWindow | CountedWindow | None = None
        self._newest = 0  # number of the newest request whose reading is known

    @property
    def bucket(self) -> Bucket:
        """What is left of it."""
        return self._bucket

    @property
    def refunds(self) -> bool:
        """Whether what a request did not use comes back."""
        return self._level.refunds

    @property
    def dimension(self) -> str:
        """What is limited, as `Rate` names it."""
        return self._bucket.rate.dimension

    @property
    def rate(self) -> Rate:
        """The rate in force."""
        return self._bucket.rate

    @property
    def is_known(self) -> bool:
        """Whether the limit was set, or has been learned."""
        return self.source.is_known

    @property
    def most(self) -> float:
        """The most that a single request may cost: a whole minute (or day) of the limit."""
        return self.source.most

    @property
    def spent(self) -> float:
        """What went through since the start, less what was given back."""
        return self.account.spent

    @property
    def came_back(self) -> float:
        """What went through, turned out unused, and may be spent again."""
        return self.account.returned if self._level.refunds else 0.0

    @property
    def given_back(self) -> float:
        """What went through but was not sent."""
        return self.account.given_back

    @property
    def used(self) -> float | None:
        """The share used of what flowed in so far, at most 1; None if it is not known."""
        return self.account.used if self.source.is_known else None

    @property
    def others(self) -> float:
        """What others use of the limit, in units per second, as far as can be seen."""
        return self._level.readings.others

    def forget_spent(self) -> None:
        """Begin as if nothing was spent before: who shares the limit knows better."""
        self._spent_before = 0.0

    def found(self, now: float, requests: int) -> LimitMemory:
        """
        Return what another run may begin with; fields without news are None.

        Args:
            now: Seconds of the caller's clock.
            requests: How many went through.
        """
        account, rate, finder = self.account, self._bucket.rate, self._finder
        spent = per_minute = reached = None
        if self.is_daily:
            spent = max(0.0, rate.burst - self._bucket.available(now))
            if not requests:
                spent = None
        elif requests:
            admitted = account.spent - account.refused
            per_minute = self.source.found(now, admitted, admitted / requests)
            reached = self.source.reached(now, admitted)
        rule = finder.rule if finder is not None and finder.is_proven else None
        per_day = rate.limit if self.is_daily else 0.0
        return LimitMemory(rate.dimension, per_minute, reached, rule, spent, per_day)

    def available(self, now: float) -> float:
        """Return what may be spent now; below zero while in debt."""
        return self._bucket.available(now)
