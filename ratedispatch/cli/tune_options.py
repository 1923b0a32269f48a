"""Adds the flags of ``tune`` beyond those of ``run`` and of the modelled provider."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.command import collect, option
from ratedispatch.cli.earlier_run import like_option
from ratedispatch.cli.param_types import FiniteRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.jobs.tuning.other_accounts import Account

#: Knobs by the flags of ``run`` that set them.
KNOB_FLAGS = {
    "max-in-flight": "max_in_flight",
    "burst-seconds": "burst_seconds",
    "max-tokens": "max_tokens",
    "order": "order",
    "processes": "processes",
}


@dataclass(frozen=True, slots=True)
class SearchFlags:
    """
    Where the best settings are looked for.

    Args:
        tier: Names of tiers with published limits.
        account: Other accounts, as ``NAME=RPM:TPM``.
        keep: Knobs that are left where they are, by their flags.
        like: The former run that the provider is fitted to; None for none.
    """

    tier: tuple[str, ...]
    account: tuple[str, ...]
    keep: tuple[str, ...]
    like: str | None

    @property
    def kept(self) -> frozenset[str]:
        """The knobs that are left where they are."""
        return frozenset(KNOB_FLAGS[flag] for flag in self.keep)

    def accounts(self, models: Sequence[str]) -> list[Account]:
        """
        Return the other accounts, for a job with rows of *models*.

        Raises:
            click.UsageError: One makes no sense, or is not known.
        """
        from ratedispatch.cli.param_types import parse_amount
        from ratedispatch.errors import InvalidLimits
        from ratedispatch.jobs.tuning.other_accounts import account_named, account_of_tier

        found: list[Account] = []
        for flag, texts in (("--tier", self.tier), ("--account", self.account)):
            for text in texts:
                try:
                    one = (
                        account_of_tier(text, models)
                        if flag == "--tier"
                        else account_named(text, parse_amount)
                    )
                except InvalidLimits as error:
                    raise click.UsageError(f"{flag}: {error}") from error
                if one.name in {other.name for other in found}:
                    raise click.UsageError(f"{flag} names {one.name!r:.80} twice")
                found.append(one)
        return found


_SEARCH_OPTIONS = (
    option(
        "--tier",
        group="Search",
        multiple=True,
        metavar="NAME",
        help="Compare with an account that has the published limits of a tier, such as "
        "openai-tier-3; repeatable. If you give no limits, the first tier is taken as yours.",
    ),
    option(
        "--account",
        group="Search",
        multiple=True,
        metavar="NAME=RPM:TPM",
        help="Compare with an account that has these limits, such as other=5000:2M; a third number "
        "limits requests per day; none for no limit; repeatable.",
    ),
    option(
        "--keep",
        group="Search",
        multiple=True,
        type=click.Choice(list(KNOB_FLAGS)),
        help="Do not change this flag; repeatable.",
    ),
    like_option("Search"),
)

search_options = collect(SearchFlags, "search", _SEARCH_OPTIONS)


@dataclass(frozen=True, slots=True)
class ShownFlags:
    """
    How what was found is shown.

    Args:
        output: Where the recommended command writes; None for beside the input.
        plot: The file of the charts.
        verify: Whether to run the settings and compare.
        spend: What that may cost at the real provider, in USD; None for the fake server.
        quiet: Whether no progress is shown.
        as_json: Whether everything is printed as JSON.
    """

    output: Path | None
    plot: Path | None
    verify: bool
    spend: float | None
    quiet: bool
    as_json: bool


_SHOWN_OPTIONS = (
    option(
        "-o",
        "--output",
        group="Display",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Output of the recommended command.  [default: the name of IN with .out.jsonl]",
    ),
    option(
        "--plot",
        group="Display",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Plot time against cost, and rows per second against each flag, to FILE (.png or "
        ".svg); needs matplotlib.",
    ),
    option(
        "--verify",
        group="Display",
        is_flag=True,
        help="Run the first rows with the recommended and the neighbouring settings, up to a "
        "minute each, against a fake server that behaves like the modelled provider; compare "
        "predicted and measured times.",
    ),
    option(
        "--spend",
        group="Display",
        type=FiniteRange(min=0, min_open=True),
        metavar="USD",
        help="With --verify: run against the real provider, and spend at most USD in all runs.",
    ),
    option("-q", "--quiet", group="Display", is_flag=True, help="Show no progress."),
    option("--json", "as_json", group="Display", is_flag=True, help="Print everything as JSON."),
)

shown_options = collect(ShownFlags, "shown", _SHOWN_OPTIONS)
