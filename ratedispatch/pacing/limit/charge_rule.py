"""
The ways in which a provider may charge a request, as data.

A rule says which count of the prompt is charged, whether the output cap is, and whether the charge
is corrected to what was really used. Values only: which of them is the provider's is found in
:mod:`ratedispatch.pacing.limit.rule_finder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.pacing.limit.account import (
    BY_CHARACTERS,
    BY_THE_LARGER,
    BY_TOKENS,
    NOTHING,
    OUTPUT,
    counts_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.limit.account import Counts
    from ratedispatch.request import Cost


class ChargeRule(NamedTuple):
    """
    One way to charge.

    Args:
        prompt: Which of `Counts` is charged for the prompt.
        output: Whether the output cap is charged when the request is sent.
        refunds: Whether the charge is corrected to what was used when the answer is sent.
    """

    prompt: int
    output: bool
    refunds: bool

    def amount(self, counts: Counts) -> float:
        """Return what a request of *counts* is charged when it is sent."""
        amount = counts[self.prompt]
        return amount + counts[OUTPUT] if self.output else amount


_PROMPTS = (BY_THE_LARGER, BY_TOKENS, BY_CHARACTERS)

#: The rules that a limit may have, by its dimension, the more cautious first. A limit of any other
#: dimension has one rule only.
FAMILIES: dict[str, tuple[ChargeRule, ...]] = {
    "tokens": tuple(
        ChargeRule(prompt, output, refunds)
        for output, refunds in ((True, False), (True, True), (False, True), (False, False))
        for prompt in _PROMPTS
    ),
    "input_tokens": tuple(
        ChargeRule(prompt, False, refunds) for refunds in (False, True) for prompt in _PROMPTS
    ),
    "output_tokens": (
        ChargeRule(NOTHING, True, False),
        ChargeRule(NOTHING, True, True),
        ChargeRule(NOTHING, False, True),
    ),
}
for _name in tuple(FAMILIES):
    FAMILIES[f"{_name}_per_day"] = FAMILIES[_name]


def rule_like(dimension: str, *, output: bool, refunds: bool) -> ChargeRule | None:
    """
    Return the rule of a provider's policy for *dimension*; None where there is one rule only.

    Args:
        dimension: What is limited, as `Rate` names it.
        output: Whether the policy charges the output cap when a request is sent.
        refunds: Whether it corrects the charge to what was used.
    """
    if dimension not in FAMILIES:
        return None
    if dimension.startswith("output"):
        return ChargeRule(NOTHING, output or not refunds, refunds)
    return ChargeRule(BY_THE_LARGER, output and dimension.startswith("tokens"), refunds)


def amount_by(rule: ChargeRule) -> Callable[[Cost], float]:
    """Return what tells the amount of a cost by *rule*."""

    def amount(cost: Cost) -> float:
        return rule.amount(counts_of(cost))

    return amount
