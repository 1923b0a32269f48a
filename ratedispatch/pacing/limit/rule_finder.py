"""
Finds the charge rule of the provider.

Every rule predicts what the next reading should be. The rule whose predictions come true, within
rounding and the times of arrival, is the provider's; what is left over is what others use. Pure
arithmetic on instants; knows no bucket and no headers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.account import ORIGIN, sums_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.limit.account import Position
    from ratedispatch.pacing.limit.charge_rule import ChargeRule


@dataclass(frozen=True, slots=True)
class FinderTuning:
    """
    What can be tuned of the choice of a rule.

    Args:
        least_readings: Readings before another rule is taken: fewer may agree with one by chance.
        memory: Share of what was seen that still counts after another reading.
        leak: Share of an error that is forgiven with each reading: others cause it too.
        much_better: Another rule is taken if its error is below this share of the error of the
            one in force.
        as_good: Of the rules whose error is below this multiple of the least, the most cautious is
            taken.
        arrival_seconds: Seconds by which the instants of arrival may differ from those of sending.
        rounding: Units by which a reading may be off, with that before it.
        sparse: Once the rule is known, one reading of so many is examined.
    """

    least_readings: int = 6
    memory: float = 0.9
    leak: float = 0.02
    much_better: float = 0.3
    as_good: float = 1.5
    arrival_seconds: float = 0.03
    rounding: float = 2.0
    sparse: int = 8


_TUNING = FinderTuning()


class RuleFinder:
    """
    Compares the rules of one limit by what they predict.

    For each rule a bucket is kept that starts at the first reading: it refills, is charged by that
    rule, gets back what the rule gives back, and holds no more than was ever seen. What a reading
    shows is compared with it. The error of the right rule is bounded, because what rounding or
    the time of arrival did to one reading is made up for in the next; it grows with each request
    otherwise.

    Args:
        rules: The family, the more cautious first.
        rule: The one to begin with.

    Attributes:
        rule: The one in force.
        is_settled: Whether its predictions come true.
        left_out: Readings that need not be added for now.
    """

    __slots__ = (
        "_at",
        "_depths",
        "_doubted_at",
        "_errors",
        "_levels",
        "_number",
        "_position",
        "_rules",
        "_seen",
        "_sizes",
        "_top",
        "_tuning",
        "_weight",
        "is_settled",
        "left_out",
        "rule",
    )

    def __init__(
        self, rules: Sequence[ChargeRule], rule: ChargeRule, tuning: FinderTuning = _TUNING
    ) -> None:
        self._rules = rules if rule in rules else (rule, *rules)
        self.rule = rule
        self._tuning = tuning
        self.forget()

    @property
    def is_proven(self) -> bool:
        """Whether the rule in force has been held against enough readings and come true."""
        return self.is_settled and self._seen > self._tuning.least_readings

    def forget(self) -> None:
        """Start over with the rule in force: another bucket is shown, or it was refilled."""
        count = len(self._rules)
        self.is_settled = False
        self._position = ORIGIN
        self._at = 0.0
        self._levels = [0.0] * count
        self._depths = [0.0] * count
        self._errors = [0.0] * count
        self._sizes = self._weight = self._top = 0.0
        self._seen = self._number = self.left_out = 0
        self._doubted_at = math.inf

    def doubt(self, now: float) -> None:
        """
        Note that *now* an attempt came back of which nobody says whether it was charged.

        Its amount would stand in every prediction from then on, until by chance a wrong rule makes
        up for it. So the first reading of what is sent later is not compared: the buckets start
        from it.
        """
        self._doubted_at = min(self._doubted_at, now)

    def take(self, rule: ChargeRule) -> bool:
        """Begin again with *rule*, which others have found; return whether it is in the family."""
        if rule not in self._rules:
            return False
        self.rule = rule
        self.forget()
        return True

    def add(
        self, remaining: float, per_second: float, *, at: float, position: Position, number: int
    ) -> bool:
        """
        Add a reading; they come in the order in which their requests were sent.

        Args:
            remaining: What the provider says is left.
            per_second: How fast its bucket refills.
            at: When the request left, in seconds of the caller's clock.
            position: What had been charged by then, this request included.
            number: How many requests had been sent by then, this one included.

        Returns:
            Whether another rule is in force now.
        """
        tuning = self._tuning
        requests = number - self._number
        if requests <= 0:
            return False
        change = tuple([one - other for one, other in zip(position, self._position, strict=True)])
        refill = per_second * max(at - self._at, 0.0)
        self._at, self._position, self._number = at, position, number
        self._seen += 1
        self._top = max(self._top, remaining)
        if self._seen == 1 or at >= self._doubted_at:
            self._levels = [remaining] * len(self._rules)
            self._doubted_at = math.inf
            return False
        self._compare(remaining, refill, change, requests)
        return self._seen > tuning.least_readings and self._choose(per_second)

    def _compare(self, remaining: float, refill: float, change: Position, requests: int) -> None:
        """Let the bucket of each rule go through *change*, and note how far it is off."""
        tuning = self._tuning
        memory, leak = tuning.memory, tuning.leak
        levels, depths, errors = self._levels, self._depths, self._errors
        for place, rule in enumerate(self._rules):
            charged, returned = sums_at(change, rule.prompt, output=rule.output)
            size = charged / requests
            level = levels[place] + refill - charged
            if rule.refunds:
                level += returned
            if requests == 1 and remaining + size > depths[place]:
                depths[place] = remaining + size
            # a reading may never have come right after the one before; none is above the depth
            level = min(level, max(max(depths[place], self._top) - size, remaining))
            error = remaining - level
            levels[place] = level + leak * error
            errors[place] = errors[place] * memory + abs(error)
        self._weight = self._weight * memory + 1.0
        charged, _ = sums_at(change, self.rule.prompt, output=self.rule.output)
        self._sizes = self._sizes * memory + charged / requests

    def _choose(self, per_second: float) -> bool:
        """Take the rule whose predictions come true; return whether it is another one."""
        tuning, errors, weight = self._tuning, self._errors, self._weight
        exact = (tuning.rounding + per_second * tuning.arrival_seconds) * weight
        # one request may have been charged, or given back, in another order than it left or came
        noise = exact + self._sizes
        own = errors[self._rules.index(self.rule)]
        self.is_settled = own <= exact
        if self.is_settled:
            self.left_out = tuning.sparse - 1
            return False
        best = min(errors)
        if best > noise or best > tuning.much_better * own:
            return False
        # of those that explain the same, the most cautious
        as_good = max(tuning.as_good * best, tuning.rounding * weight)
        number = next(number for number, error in enumerate(errors) if error <= as_good)
        self.rule = self._rules[number]
        return True
