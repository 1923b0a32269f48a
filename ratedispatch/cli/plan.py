"""``ratedispatch plan``: what a file of requests will take, before anything is sent."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.help import HELP
from ratedispatch.cli.input_options import InputFlags, input_options
from ratedispatch.cli.limit_options import (
    LimitFlags,
    given_price,
    limit_options,
    price_options,
    provider_options,
    url_of,
)
from ratedispatch.cli.notes import plain_warnings
from ratedispatch.limits import Limits, unit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ratedispatch.jobs.plan.model import Lane, Need, Plan
    from ratedispatch.tokens import ChargePolicy

#: Rows that cannot be sent of which a person is shown the line; --json has more.
_LISTED = 20

#: Groups of rows, and models without a price, that a person is shown.
_SHOWN = 20

#: Models that are named beside the group of limits that they fall under.
_NAMED = 3

#: What the models are called that no group of limits names.
_OTHERS = "the other models"

_BAR_WIDTH = 40

_WHY = {
    "invalid_line": "malformed",
    "duplicate_custom_id": "with a custom_id that is there already",
    "invalid_request": "that cannot be counted",
    "cost_exceeds_limit": "that can never fit into the limit",
    "no_limits": "of models without limits",
}


@click.command(context_settings=HELP)
@input_options
@limit_options(missing="not known, so that it does not bind")
@provider_options
@price_options
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(
    source: InputFlags,
    limits: LimitFlags,
    base_url: str | None,
    policy: ChargePolicy | None,
    models: dict[str, str],
    default_output_tokens: int,
    price_in: float | None,
    price_out: float | None,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    """
    Read IN, send nothing, and tell what it will take at the limits of the account.

    Tells rows, tokens, time and cost, which limit binds, and the rows that cannot be sent. Needs
    at least one limit, and no key.

    \b
    Exit codes: 0 all rows can be sent; 1 some are malformed or can never fit; 2 wrong usage;
    130 interrupted.
    """
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.plan.planner import plan_file
    from ratedispatch.tokens import policy_for

    account = limits.read(missing=None)
    if isinstance(account, Limits) and all(rate.is_auto for rate in account.rates()):
        raise click.UsageError(
            "no limit is known; give at least one, such as --rpm 500 or --tpm 200k, or --limits"
        )
    price = given_price(price_in, price_out)
    template = source.template()
    try:
        with plain_warnings(), _progress(quiet=quiet) as show:
            made = plan_file(
                source.source,
                account,
                policy=policy or policy_for(url_of(base_url)),
                default_output_tokens=default_output_tokens,
                price=price,
                models=models,
                template=template,
                input_format=source.format,
                on_progress=show,
            )
    except JobError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        reason = error.strerror or error
        raise click.UsageError(f"the input {source.input} cannot be read: {reason}") from error
    except KeyboardInterrupt:
        click.echo("interrupted: nothing was sent, and nothing was written", err=True)
        sys.exit(130)
    if as_json:
        click.echo(json.dumps(made.as_dict()))
    else:
        click.echo(describe(made, bar=_bar_character()))
    sys.exit(0 if made.is_sound else 1)


def describe(plan: Plan, *, bar: str = "#") -> str:
    """Return *plan* as text for a person, with *bar* as the character of the bars."""
    parts = [_rows(plan)]
    if plan.groups:
        parts += [_table(plan), _sizes(plan, bar), _time(plan), _cost(plan)]
    if plan.findings:
        parts.append(_findings(plan))
    return "\n\n".join(parts)


def for_people(seconds: float) -> str:
    """Return a time in two units at most: ``8.3 s``, ``12 min 5 s``, ``3 h 12 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days:,} d {hours} h" if hours else f"{days:,} d"


def _rows(plan: Plan) -> str:
    text = f"{_count(plan.rows, 'row')}: {plan.sendable:,} can be sent"
    return text + "".join(
        f", {count:,} {_WHY.get(code, code)}" for code, count in plan.counts.items()
    )


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
        text += "\nOutput is what is reserved for it: the rows' caps"
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
    lanes = [lane for lane in plan.lanes if lane.rows]
    is_apart = len(plan.lanes) > 1 or bool(plan.lanes[0].name)
    lines = []
    for lane in lanes:
        if is_apart:
            lines.append(f"{_title(plan, lane)}: {_count(lane.rows, 'row')}")
        lines += ["  " * is_apart + line for line in _lane(plan, lane)]
    if plan.binding is None:
        return "\n".join(lines)
    of = f", the time of {_printable(plan.slowest.name) or _OTHERS}" if len(lanes) > 1 else ""
    lines.append(
        f"The job takes at least {for_people(plan.seconds)}{of}, and the latency of the last "
        f"answer on top."
    )
    lines.append(f"(the longest of (work − burst) / rate, with a burst of {_burst(plan)})")
    return "\n".join(lines)


def _title(plan: Plan, lane: Lane) -> str:
    """Return a group of limits with some of its models: ``small (gpt-4o-mini, gpt-4.1-mini)``."""
    models = list(
        dict.fromkeys(_short(group.model) for group in plan.groups if group.limits == lane.name)
    )
    named = ", ".join(models[:_NAMED]) + (", …" if len(models) > _NAMED else "")
    return f"{_printable(lane.name) or _OTHERS} ({named})"


def _lane(plan: Plan, lane: Lane) -> list[str]:
    """Return what the rows of *lane* ask of each of its limits, and which one binds."""
    if not lane.needs:
        return ["No limit is known, so that the time is not known either."]
    lines = [_need(plan, lane, need) for need in lane.needs]
    lines += [
        f"{unit_of(dimension)}: the limit is yet to be learned, and not in the time"
        for dimension in lane.unknown
    ]
    binding = lane.binding
    if binding is None:
        return [*lines, "Everything fits into the burst: it goes at once, and takes one latency."]
    return [*lines, _verdict(lane, binding)]


def _need(plan: Plan, lane: Lane, need: Need) -> str:
    unit, per = unit_of(need.dimension), "day" if need.is_daily else "minute"
    caps = sum(group.cap_tokens for group in plan.groups if group.limits == lane.name)
    if need.dimension == "output_tokens" and caps and not need.work:
        return (
            f"{unit}: at most {caps:,} at {need.limit:,.0f} per {per}, charged as they are "
            f"written, so not in the time"
        )
    return f"{unit}: {need.work:,} at {need.limit:,.0f} per {per} take {for_people(need.seconds)}"


def _verdict(lane: Lane, binding: Need) -> str:
    name = _name(binding)
    others = [need for need in lane.needs if need is not binding]
    if not others:
        return f"{name} bind"
    other = max(others, key=lambda need: need.seconds)
    if lane.ratio is None:
        rest = f"the {_name(other)}" if len(others) == 1 else "the others"
        return f"{name} bind: {rest} all fit into the burst"
    return f"{name} bind: {_times(lane.ratio)} × the time that {_name(other)} need"


def _name(need: Need) -> str:
    return f"{unit_of(need.dimension)} per day" if need.is_daily else unit_of(need.dimension)


def _burst(plan: Plan) -> str:
    seconds = plan.burst_seconds
    text = f"{seconds:g} s of rate" if seconds is not None else "each group's seconds of rate"
    is_daily = any(need.is_daily for need in plan.needs)
    return text + ", and of a whole day where a day is limited" * is_daily


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}" if ratio >= 10 else f"{ratio:.2f}"


def _cost(plan: Plan) -> str:
    lines = []
    priced = [group for group in plan.groups if group.price is not None]
    if plan.usd is not None:
        ingoing = sum(group.input_tokens for group in priced)
        outgoing = sum(group.cap_tokens for group in priced)
        line = f"Cost: {_usd(plan.usd)} for {ingoing:,} input tokens"
        if outgoing:
            line += f" and at most {outgoing:,} output tokens: an upper bound, as if every answer "
            line += "were as long as what is reserved for it"
        lines.append(line)
        uncapped = sum(group.uncapped for group in priced)
        if uncapped:
            lines.append(
                f"  {_count(uncapped, 'row')} without an output cap may cost more: "
                f"{plan.default_output_tokens:,} tokens are counted for each"
            )
        for price in {group.price.model: group.price for group in priced if group.price}.values():
            of = f" ({price.day.isoformat()}, {price.source})" if price.day else ""
            lines.append(
                f"  {price.model}: {_rate(price.input)} in, {_rate(price.output)} out "
                f"per million{of}"
            )
        if any(group.price is not None and group.price.day for group in priced):
            lines.append("  List prices, without discounts for batches or cached input.")
    if plan.unpriced:
        names = dict.fromkeys(_short(group.model) for group in plan.unpriced)
        text = ", ".join(list(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        rows = sum(group.rows for group in plan.unpriced)
        left = "not in this sum" if priced else "so there is no sum"
        lines.append(
            f"No price is known for {text} ({_count(rows, 'row')}, {left}); "
            f"give --price-in and --price-out"
        )
    return "\n".join(lines)


def _findings(plan: Plan) -> str:
    total = sum(plan.counts.values())
    lines = [f"{_count(total, 'row')} cannot be sent:"]
    lines += [f"  {_printable(finding.message)}" for finding in plan.findings[:_LISTED]]
    if total > _LISTED:
        lines.append(f"  … and {total - _LISTED:,} more; --json lists the first 1,000")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _usd(amount: float) -> str:
    if amount == 0 or amount >= 0.995:
        return f"${amount:,.2f}"
    return f"${amount:.2g}"


def _rate(amount: float) -> str:
    return f"${amount:.2f}" if round(amount, 2) == amount else f"${amount:g}"


def _short(model: str) -> str:
    name = _printable(model) or "(no model)"
    return name if len(name) <= 60 else name[:59] + "…"


def _printable(text: str) -> str:
    """Leave out what a file could do to a terminal, or what has no UTF-8."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _bar_character() -> str:
    """A block on a terminal that has it, else plain ASCII."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    with contextlib.suppress(UnicodeError, LookupError):
        "█".encode(encoding)
        return "█" if sys.stdout.isatty() else "#"
    return "#"


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far the reading is, on a terminal; give what to call with the bytes read."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("reading"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield show
