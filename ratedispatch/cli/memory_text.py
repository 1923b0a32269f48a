"""Writes what is saved about accounts as lines for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.dimension import dimension_named
from ratedispatch.memory import facts
from ratedispatch.observe.human import duration_text
from ratedispatch.pacing.limit.charge_rule import ChargeRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.memory.fact_file import Account
    from ratedispatch.memory.facts import Fact

#: The order of the lines of one account.
_ORDER = (
    facts.LIMIT, facts.REACHED, facts.RATE, facts.SPENT, facts.RULE, facts.IN_FLIGHT,
    facts.ROOM, facts.LATENCY, facts.SLOWEST, facts.OUTPUT,
)  # fmt: skip

#: What is charged for a prompt, in the order of `Counts`.
_PROMPTS = ("tokens", "characters", "the larger of tokens and characters", "no prompt")


def memory_text(folder: str, accounts: Sequence[Account], now: float) -> str:
    """
    Return what is kept in *folder*.

    Args:
        folder: As it is shown.
        accounts: In the order of the lines.
        now: Seconds of the wall clock, for the ages.
    """
    if not accounts:
        return f"Nothing is saved in {folder}."
    noun = "account" if len(accounts) == 1 else "accounts"
    lines = [f"{len(accounts):,} {noun} in {folder}"]
    for account in accounts:
        group = f", group {account.group}" if account.group else ""
        lines += ["", f"{account.name}  {account.place}{group}"]
        rows = [
            (*_described(fact, now), f"{duration_text(max(0.0, now - fact.at))} ago")
            for fact in sorted(account.facts, key=lambda one: (_ORDER.index(one.kind), one.of))
        ]
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        lines += [f"  {a.ljust(widths[0])}  {b.ljust(widths[1])}  {c}" for a, b, c in rows]
    return "\n".join(lines)


def _described(fact: Fact, now: float) -> tuple[str, str]:
    """Return what *fact* is about, and what it says."""
    kind, of, value, at = fact
    dimension = dimension_named(of)
    if kind == facts.SPENT:
        spent = facts.leaked(value[0], now - at, value[1])
        return "used today", f"{spent:,.0f} of {value[1]:,.0f} {dimension.unit}"
    if kind == facts.RULE:
        return f"charge of {dimension.unit}", _rule_text(ChargeRule(*value))
    if kind == facts.SLOWEST:
        return "slowest answer", f"{value[0]:.3g} s, at most {value[1] * 1000:.3g} ms per token"
    title, text = _NUMBERS[kind]
    named = text.format(value * 60 if kind == facts.RATE else value, dimension.phrase)
    return title.format(of), named


#: What is said of the kinds that are one number: its title, with the model, and the number, with
#: the limit that it is one of.
_NUMBERS = {
    facts.LIMIT: ("limit", "{0:,.0f} {1}"),
    facts.REACHED: ("no limit up to", "{0:,.0f} {1}"),
    facts.RATE: ("limit", "{0:,.0f} requests per minute, unless one is set"),
    facts.IN_FLIGHT: ("in flight", "{0:,}"),
    facts.ROOM: ("in flight", "{0:,}; more are refused"),
    facts.LATENCY: ("latest answer", "{0:.3g} s"),
    facts.OUTPUT: ("answers of {0}", "95 % within {0:,} tokens"),
}


def _rule_text(rule: ChargeRule) -> str:
    output = " and the cap on the output" if rule.output else ""
    refund = ", corrected to what was used" if rule.refunds else ""
    return f"{_PROMPTS[rule.prompt]}{output}{refund}"
