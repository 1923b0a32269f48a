"""Writes the plan of a job as text for a person: rows, sizes, time, cost and mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.dimension import dimension_named, period_of
from ratedispatch.observe.human import about_usd, duration_text, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.jobs.plan.model import GroupPlan, Need, Plan

#: Rows that cannot be sent of which a person is shown the line; --json has more.
_LISTED = 20

#: Groups of rows, and models without a price, that a person is shown.
_SHOWN = 20

#: Models that are named beside the group of limits that they fall under.
_NAMED = 3

#: The name of the models that no group of limits names.
_OTHERS = "the other models"

_BAR_WIDTH = 40

#: Why a row cannot be sent, of one row and of several.
_WHY = {
    "invalid_line": ("is malformed", "are malformed"),
    "duplicate_custom_id": ("repeats a custom_id", "repeat a custom_id"),
    "invalid_request": ("cannot be counted", "cannot be counted"),
    "cost_exceeds_limit": ("can never fit into the limit", "can never fit into the limit"),
    "no_limits": ("has a model without limits", "have models without limits"),
}


def describe(plan: Plan, *, bar: str = "#") -> str:
    """Return *plan* as text for a person, with *bar* as the character of the bars."""
    parts = [_rows(plan)]
    if plan.groups:
        parts += [_table(plan), _sizes(plan, bar), _time(plan), _cost(plan)]
    if plan.findings:
        parts.append(_findings(plan))
    return "\n\n".join(parts)


def _rows(plan: Plan) -> str:
    can = f"{_count(plan.rows, 'row')}: {plan.sendable:,} can be sent"
    return ", ".join([can, *why_not(plan.counts)])


def why_not(counts: Mapping[str, int]) -> list[str]:
    """Return how many rows cannot be sent for each reason, such as "3 are malformed"."""
    found = []
    for code, count in counts.items():
        one, many = _WHY.get(code, (code, code))
        found.append(f"{count:,} {one if count == 1 else many}")
    return found


def _table(plan: Plan) -> str:
    lines = [("endpoint", "model", "rows", "prompt", "output", "tokens")]
    lines += [
        (
            group.endpoint,
            _short(group.model),
            f"{group.rows:,}",
            f"{group.prompt_tokens:,}",
            f"{group.output_tokens:,}",
            f"{group.prompt_tokens + group.output_tokens:,}",
        )
        for group in plan.groups[:_SHOWN]
    ]
    if len(plan.groups) > _SHOWN:
        lines.append((f"… {len(plan.groups) - _SHOWN:,} more", "", "", "", "", ""))
    if len(plan.groups) > 1:
        prompt, output = plan.prompt_tokens, plan.output_tokens
        total = f"{prompt + output:,}"
        lines.append(("all", "", f"{plan.sendable:,}", f"{prompt:,}", f"{output:,}", total))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join(
        "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    if plan.output_tokens:
        text += "\nOutput counts what is reserved: each row's output cap"
        if plan.uncapped:
            text += f", and {plan.default_output_tokens:,} tokens where there is none"
        text += "."
    return text


def _sizes(plan: Plan, bar: str) -> str:
    tokens = plan.tokens
    text = (
        f"Tokens of a row: p50 {tokens.p50:,.0f}, p90 {tokens.p90:,.0f}, p99 {tokens.p99:,.0f} "
        f"(each within 1 %), max {tokens.max:,}"
    )
    ranges = [f"{b.low:,} to {b.high:,}" if b.high > b.low else f"{b.low:,}" for b in plan.bars]
    width = max(map(len, ranges))
    most = max(b.rows for b in plan.bars)
    digits = len(f"{most:,}")
    for label, b in zip(ranges, plan.bars, strict=True):
        length = -(-b.rows * _BAR_WIDTH // most)
        text += f"\n  {label.rjust(width)}  {b.rows:>{digits},}  {bar * length}".rstrip()
    return text


def _time(plan: Plan) -> str:
    parts = [part for part in plan.limit_groups if part.rows]
    is_apart = len(plan.limit_groups) > 1 or bool(plan.limit_groups[0].name)
    lines = []
    for part in parts:
        if is_apart:
            lines.append(f"{_title(plan, part)}: {_count(part.rows, 'row')}")
        lines += ["  " * is_apart + line for line in _part(plan, part)]
    if plan.binding is None:
        return "\n".join(lines)
    of = f", the time of {one_line(plan.slowest.name) or _OTHERS}" if len(parts) > 1 else ""
    lines.append(
        f"The job takes at least {duration_text(plan.seconds)}{of}, plus the latency of the "
        f"last answer."
    )
    lines.append(f"(the longest of (work − burst) / rate, with a burst of {_burst(plan)})")
    return "\n".join(lines)


def _title(plan: Plan, part: GroupPlan) -> str:
    """Return a group of limits with some of its models: ``small (gpt-4o-mini, gpt-4.1-mini)``."""
    models = list(
        dict.fromkeys(_short(group.model) for group in plan.groups if group.limits == part.name)
    )
    named = ", ".join(models[:_NAMED]) + (", …" if len(models) > _NAMED else "")
    return f"{one_line(part.name) or _OTHERS} ({named})"


def _part(plan: Plan, part: GroupPlan) -> list[str]:
    """Return what the rows of *part* ask of each of its limits, and which one binds."""
    if not part.needs:
        return ["No limit is known, so the time is not known either."]
    lines = [_need(plan, part, need) for need in part.needs]
    lines += [
        f"{dimension_named(dimension).unit}: the limit is not known yet, so it is left out of "
        f"the time"
        for dimension in part.unknown
    ]
    binding = part.binding
    if binding is None:
        return [
            *lines,
            "Everything fits into the burst: all is sent at once, and takes one latency.",
        ]
    return [*lines, _verdict(part, binding)]


def _need(plan: Plan, part: GroupPlan, need: Need) -> str:
    rate = need.rate
    unit, per = dimension_named(rate.dimension).unit, period_of(rate.window)
    caps = sum(group.cap_tokens for group in plan.groups if group.limits == part.name)
    if need.dimension == "output_tokens" and caps and not need.work:
        return (
            f"{unit}: at most {caps:,} at {rate.limit:,.0f} per {per}; charged as they are "
            f"written, so left out of the time"
        )
    return (
        f"{unit}: {need.work:,} at {rate.limit:,.0f} per {per} take {duration_text(need.seconds)}"
    )


def _verdict(part: GroupPlan, binding: Need) -> str:
    name = _name(binding)
    others = [need for need in part.needs if need is not binding]
    if not others:
        return f"{name} bind"
    other = max(others, key=lambda need: need.seconds)
    if part.ratio is None:
        rest = f"the {_name(other)}" if len(others) == 1 else "the others"
        return f"{name} bind: {rest} all fit into the burst"
    return f"{name} bind: {_times(part.ratio)} × the time that {_name(other)} need"


def _name(need: Need) -> str:
    unit = dimension_named(need.dimension).unit
    return f"{unit} per day" if need.rate.is_daily else unit


def _burst(plan: Plan) -> str:
    seconds = plan.burst_seconds
    text = f"{seconds:g} s of rate" if seconds is not None else "each group's seconds of rate"
    is_daily = any(need.rate.is_daily for need in plan.needs)
    return text + ", and of a whole day where a day is limited" * is_daily


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}" if ratio >= 10 else f"{ratio:.2f}"


def _cost(plan: Plan) -> str:
    return "\n".join(_sum(plan) + _unpriced(plan))


def _sum(plan: Plan) -> list[str]:
    """Return the cost of the models whose price is known, and these prices."""
    if plan.usd is None:
        return []
    priced = [group for group in plan.groups if group.price is not None]
    ingoing = sum(group.input_tokens for group in priced)
    outgoing = sum(group.cap_tokens for group in priced)
    line = f"Cost: {about_usd(plan.usd)} for {ingoing:,} input tokens"
    if outgoing:
        line += f" and at most {outgoing:,} output tokens: an upper bound, as if every answer "
        line += "used all the tokens reserved for it"
    lines = [line]
    uncapped = sum(group.uncapped for group in priced)
    if uncapped:
        lines.append(
            f"  {_count(uncapped, 'row')} without an output cap may cost more: "
            f"{plan.default_output_tokens:,} tokens are counted for each"
        )
    prices = {group.price.model: group.price for group in priced if group.price}
    for price in prices.values():
        of = f" ({price.day.isoformat()}, {price.source})" if price.day else ""
        lines.append(
            f"  {price.model}: {_rate(price.input)} in, {_rate(price.output)} out per million{of}"
        )
    if any(price.day for price in prices.values()):
        lines.append("  List prices, without discounts for batches or cached input.")
    return lines


def _unpriced(plan: Plan) -> list[str]:
    """Return a line with the models whose price is not known; none if there are no such models."""
    if not plan.unpriced:
        return []
    names = dict.fromkeys(_short(group.model) for group in plan.unpriced)
    text = ", ".join(list(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    rows = sum(group.rows for group in plan.unpriced)
    is_partial = any(group.price is not None for group in plan.groups)
    left = "not in this sum" if is_partial else "so there is no total"
    line = f"No price is known for {text} ({_count(rows, 'row')}, {left}); "
    return [line + "give --price-in and --price-out"]


def _findings(plan: Plan) -> str:
    total = sum(plan.counts.values())
    lines = [f"{_count(total, 'row')} cannot be sent:"]
    lines += [f"  {one_line(finding.message)}" for finding in plan.findings[:_LISTED]]
    if total > _LISTED:
        lines.append(f"  … and {total - _LISTED:,} more; --json lists the first 1,000")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _rate(amount: float) -> str:
    return f"${amount:.2f}" if round(amount, 2) == amount else f"${amount:g}"


def _short(model: str) -> str:
    name = one_line(model) or "(no model)"
    return name if len(name) <= 60 else name[:59] + "…"
