"""
What readings are worth in the model of a queue.

Nobody else spends from the limits, so the model only needs to know when the engine has found this
out, and how the provider charges. Knows instants and amounts only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.account import sums_at
from ratedispatch.pacing.limit.charge_rule import FAMILIES, rule_like
from ratedispatch.pacing.limit.reading_filter import ReadingFilter
from ratedispatch.pacing.limit.rule_finder import FinderTuning, RuleFinder

if TYPE_CHECKING:
    from ratedispatch.pacing.limit.account import Position
    from ratedispatch.pacing.limit.charge_rule import ChargeRule

_FINDER = FinderTuning()

#: Readings of which the engine's own judgement is asked at least. By then it has found that nobody
#: else spends from the limit; that is what it goes on to find if it knows how requests are charged.
_JUDGED = 256


#: Where a request stands in a limit, as a plain tuple, because there is one for each request and
#: limit: what it is expected to be charged; what had been charged by then, this request included;
#: what the provider says is left after it; the same sums under every way of counting, or None
#: where there is one only; and what it counts as then: by tokens, as a limit is charged, output.
Mark = tuple[float, float, float, "Position | None", tuple[int, int, int]]


class ModelledReadings:
    """
    The readings of one limit.

    Args:
        is_exact: Whether every provider counts it alike: requests.

    Attributes:
        ratio: As `ReadingFilter` has it.
        others: The same.
        unit_ratio: The same.
        is_sure: Whether what a request is charged is known.
    """

    __slots__ = ("_count", "_filter", "_is_exact", "is_sure", "others", "ratio", "unit_ratio")

    def __init__(self, *, is_exact: bool) -> None:
        self.is_sure = self._is_exact = is_exact
        self._count = 0
        self._filter = ReadingFilter()
        self.ratio: float | None = None
        self.others, self.unit_ratio = 0.0, 1.0

    def forget(self) -> None:
        """Start over: another rule is in force."""
        self._count = 0
        self._filter.forget()
        self.ratio, self.others, self.unit_ratio = None, 0.0, 1.0

    def add(
        self,
        remaining: float,
        per_second: float,
        *,
        sent_at: float,
        charged: float,
        returned: float,
        number: int,
    ) -> None:
        """Add a reading; see `ReadingFilter.add`."""
        self._count = count = self._count + 1
        if count > _JUDGED and self.is_sure:
            self.ratio, self.others, self.unit_ratio = 1.0, 0.0, 1.0
            return
        if not self._is_exact and count > _FINDER.least_readings:
            self.is_sure = True
        judged = self._filter
        judged.add(
            remaining, per_second, at=sent_at, charged=charged, returned=returned, number=number
        )
        self.ratio, self.others, self.unit_ratio = judged.ratio, judged.others, judged.unit_ratio


class ModelledLedger:
    """
    What was charged under every way of counting, and the way that the provider is found to go.

    Needed only where that is not the one the engine begins with.

    Args:
        per_second: What flows into the provider's bucket.

    Attributes:
        finder: Compares the rules.
        position: The sums, as `ratedispatch.pacing.limit.account` has them.
    """

    __slots__ = ("_per_second", "finder", "position")

    def __init__(self, per_second: float) -> None:
        rule = rule_like("tokens", output=True, refunds=False)
        assert rule is not None
        self.finder = RuleFinder(FAMILIES["tokens"], rule)
        self.position: Position = (0.0,) * 11
        self._per_second = per_second

    @property
    def rule(self) -> ChargeRule:
        """The rule in force."""
        return self.finder.rule

    def charge(self, billed: float, prompt: float, output: float) -> None:
        """Count a request, or with negative numbers one that was not charged."""
        a, b, c, d, e, *back = self.position
        self.position = (a + billed, b + prompt, c + prompt, d, e + output, *back)

    def settle(self, billed: float, prompt: float, output: float, used: float) -> None:
        """Count what a request really used."""
        a, b, c, d, e, f, g, h, i, j, k = self.position
        self.position = (
            a, b, c, d, e, f + billed, g + prompt, h + prompt, i, j + output, k + used,
        )  # fmt: skip

    def read(
        self, remaining: float, number: int, sent_at: float, position: Position, *, is_refused: bool
    ) -> bool:
        """Take a reading in; return whether another rule is in force now."""
        finder = self.finder
        if finder.left_out:
            finder.left_out -= 1
        elif not is_refused:
            return finder.add(
                remaining, self._per_second, at=sent_at, position=position, number=number
            )
        return False

    def sums(self, position: Position) -> tuple[float, float]:
        """Return what *position* comes to by the rule: what was charged, and what came back."""
        rule = self.finder.rule
        charged, returned = sums_at(position, rule.prompt, output=rule.output)
        return charged, returned if rule.refunds else 0.0
