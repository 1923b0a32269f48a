"""``ratedispatch plan``: what a file of requests will take, before anything is sent."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.command import SettingsCommand, collect, option
from ratedispatch.cli.console import json_text, say
from ratedispatch.cli.help import HELP
from ratedispatch.cli.input_options import InputFlags, input_options
from ratedispatch.cli.limit_options import (
    LimitFlags,
    PriceFlags,
    ProviderFlags,
    limit_options,
    price_flags,
    provider_options,
    url_of,
)
from ratedispatch.cli.notes import plain_warnings
from ratedispatch.cli.own_counts import counts_folder, no_memory_option
from ratedispatch.cli.pool_file import MemberTables
from ratedispatch.cli.reading_progress import reading_progress
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.plan.model import Plan
    from ratedispatch.jobs.plan.prices import Price


@dataclass(frozen=True, slots=True)
class PlanDisplayFlags:
    """
    How a plan is shown.

    Args:
        quiet: Whether no progress is shown.
        as_json: Whether the plan is printed as JSON.
        no_memory: Whether the file is counted anew, and its counts are not kept.
    """

    quiet: bool
    as_json: bool
    no_memory: bool


_DISPLAY_OPTIONS = (
    no_memory_option,
    option("-q", "--quiet", group="Display", is_flag=True, help="Show no progress."),
    option("--json", "as_json", group="Display", is_flag=True, help="Print the plan as JSON."),
)


@click.command(
    cls=SettingsCommand,
    context_settings=HELP,
    short_help="Estimate time, tokens and cost of a job; nothing is sent.",
)
@input_options
@limit_options(missing="not known, and left out of the estimate")
@provider_options
@collect(PriceFlags, "prices", price_flags("Prices"))
@collect(PlanDisplayFlags, "display", _DISPLAY_OPTIONS)
def plan(
    source: InputFlags,
    limits: LimitFlags,
    provider: ProviderFlags,
    prices: PriceFlags,
    display: PlanDisplayFlags,
) -> None:
    """
    Estimate how long the job of IN will take and what it will cost. Sends nothing.

    The plan shows rows, tokens, time, cost, the bottleneck, and the rows that cannot be sent. It
    needs at least one limit, and no API key.

    \b
    Example:
      ratedispatch plan in.jsonl --rpm 3000 --tpm 2M

    \b
    Exit codes:
      0    all rows can be sent
      1    some rows are malformed or can never fit
      2    wrong usage
      130  interrupted
    """
    from ratedispatch.cli.plan_text import describe

    account, price = limits.read(missing=None), prices.price
    if isinstance(account, MemberTables):  # its members together
        first = next(iter(account))
        provider = replace(provider, base_url=provider.base_url or first.base_url or None)
        price = price or account.price
        account = account.limits
    if isinstance(account, Limits) and all(rate.is_auto for rate in account.rates()):
        raise click.UsageError(
            "no limit is known; give at least one, such as --rpm 500 or --tpm 200k, or --limits"
        )
    try:
        made = _plan(source, account, provider, price, display)
    except KeyboardInterrupt:
        say("interrupted: nothing was sent, and nothing was written")
        sys.exit(130)
    if display.as_json:
        click.echo(json_text(made.as_dict()))
    else:
        click.echo(describe(made, bar=_bar_character()))
    sys.exit(0 if made.is_sound else 1)


def _plan(
    source: InputFlags,
    account: Limits | LimitGroups,
    provider: ProviderFlags,
    price: Price | None,
    display: PlanDisplayFlags,
) -> Plan:
    """Return the plan; an input that cannot be read is a usage error."""
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.plan.planner import plan_file
    from ratedispatch.tokens import policy_for

    template = source.template()
    try:
        with plain_warnings(), reading_progress(quiet=display.quiet) as show:
            return plan_file(
                source.source,
                account,
                policy=provider.charge_policy or policy_for(url_of(provider.base_url)),
                default_output_tokens=provider.default_output_tokens,
                price=price,
                models=provider.model_alias,
                template=template,
                input_format=source.format,
                endpoint=source.endpoint,
                max_tokens=source.row_cap,
                on_progress=show,
                shard=source.shard,
                folder=counts_folder(no_memory=display.no_memory),
            )
    except JobError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        reason = error.strerror or error
        raise click.UsageError(f"the input {source.input} cannot be read: {reason}") from error


def _bar_character() -> str:
    """A block on a terminal that has it, else plain ASCII."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    with contextlib.suppress(UnicodeError, LookupError):
        "█".encode(encoding)
        return "█" if sys.stdout.isatty() else "#"
    return "#"
