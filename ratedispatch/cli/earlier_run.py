"""
Adds the flag ``--like``: fits the modelled provider to an earlier run.

A flag that describes the provider overrides the fit.
"""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.command import option

if TYPE_CHECKING:
    from collections.abc import Container

    from ratedispatch.cli.command import Decorator
    from ratedispatch.cli.run_options import CapFlags
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.like.expected_bill import ExpectedBill
    from ratedispatch.jobs.like.former_run import FormerRun
    from ratedispatch.jobs.plan.foretold_cost import ForetoldCost
    from ratedispatch.jobs.plan.prices import Price
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.limits import Limits
    from ratedispatch.simulate.fit.fit import Fit
    from ratedispatch.simulate.forecast.workload import Workload
    from ratedispatch.simulate.settings import ProviderSettings

#: Columns before the text of a line of a fit.
_INDENT = 13


def like_option(group: str) -> Decorator:
    """Return a decorator that adds the flag under the heading *group*, as ``like``."""
    return option(
        "--like",
        group=group,
        metavar="LOG|OUT|memory",
        help="Fit the modelled provider to an earlier run: LOG is its event log (--log-json), "
        "OUT is its output, and the word memory stands for what earlier runs learned about the "
        "account. Flags that you give override the fit.",
    )


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """
    What an earlier run shows.

    Args:
        former: The fit of the provider, and what was billed for rows of the current input.
    """

    former: FormerRun
    _bills: dict[Price | None, ExpectedBill | None] = field(
        kw_only=True, default_factory=dict, repr=False, compare=False
    )

    @property
    def fit(self) -> Fit:
        """What the provider is like."""
        return self.former.fit

    def fitted(self, limits: Limits | LimitGroups, given: Container[str]) -> ProviderSettings:
        """Return the fitted provider with *limits*; settings that are *given* are not fitted."""
        from ratedispatch.simulate.settings import ProviderSettings

        return self.fit.settings(ProviderSettings.like(limits), given)

    def bill(self, counted: Counted, caps: CapFlags) -> ExpectedBill | None:
        """Return what all rows of *counted* are expected to be billed; None if not seen."""
        from ratedispatch.jobs.like.expected_bill import expected_bill
        from ratedispatch.jobs.plan.price_book import PriceBook

        price = caps.price
        if price not in self._bills:  # a million rows take a second, and it is asked for thrice
            answered = self.former.answered
            self._bills[price] = expected_bill(counted, self.fit, PriceBook(price), answered)
        return self._bills[price]

    def left(self, counted: Counted) -> Workload:
        """Return the rows of *counted* that are played: all of them."""
        return counted.workload

    def priced(self, cost: ForetoldCost, counted: Counted, caps: CapFlags) -> ForetoldCost:
        """Return *cost*, with the estimate from the answers of that run if all rows are sent."""
        from ratedispatch.simulate.forecast.forecast import Interval

        bill = None if caps.max_rows is not None else self.bill(counted, caps)
        if bill is None or bill.usd is None or bill.low is None or bill.high is None:
            return cost
        return replace(cost, usd=Interval(bill.usd, bill.low, bill.high))

    def notes(self, counted: Counted, caps: CapFlags) -> list[str]:
        """Return sentences about the basis of the cost."""
        from ratedispatch.observe.human import about_usd

        bill = None if caps.max_rows is not None else self.bill(counted, caps)
        if bill is None or bill.usd is None:
            return []
        text = (
            f"The cost is for {bill.prompt_tokens:,.0f} tokens in and "
            f"{bill.output_tokens:,.0f} out, estimated from the answers of that run"
        )
        if about_usd(bill.low or 0.0) != about_usd(bill.high or 0.0):
            text += "; brackets show the 95 % interval"
        return [f"{text}.", *self.warnings(bill)]

    @staticmethod
    def warnings(bill: ExpectedBill) -> list[str]:
        """Return a sentence on the rows that may be billed more than was seen of any."""
        if not bill.beyond:
            return []
        rows = "1 row" if bill.beyond == 1 else f"{bill.beyond:,} rows"
        text = f"{rows} may have longer outputs and cost more: their output caps are higher than "
        return [f"{text}the caps that cut the longest answers of that run short."]

    def text(self, width: int) -> str:
        """Return the fit as text for a person, in lines of *width* columns."""
        return "\n".join(
            textwrap.fill(line, width, subsequent_indent=" " * _INDENT) for line in self.fit.lines()
        )

    def as_dict(self, counted: Counted, caps: CapFlags) -> dict[str, Any]:
        """Return everything as values of JSON."""
        bill = self.bill(counted, caps)
        return {
            "fit": self.fit.as_dict(),
            "expected_bill": None if bill is None else bill.as_dict(),
        }


def earlier_run(
    where: str, *, source: Source, counted: Counted, base_url: str | None = None
) -> EarlierRun:
    """
    Return what the earlier run named by ``--like`` shows.

    Args:
        where: An event log, an output, or the word ``memory``.
        source: The current input.
        counted: The rows of the current input.
        base_url: The account whose memory is read; None for OpenAI.

    Raises:
        click.UsageError: It shows nothing.
    """
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.like.former_run import MEMORY, FormerRun, like

    try:
        if where == MEMORY:
            return EarlierRun(FormerRun(_remembered(base_url), {}))
        path = source if isinstance(source, Path) else None
        return EarlierRun(like(where, source=path, counted=counted))
    except JobError as error:
        raise click.UsageError(str(error)) from error


def _remembered(base_url: str | None) -> Fit:
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.like.remembered_fit import like_memory
    from ratedispatch.memory.state_folder import StateFolder, state_path

    path = state_path(os.environ)
    if path is None:
        raise JobError(
            "--like memory: nothing is saved, because this user has no home folder; "
            "set XDG_STATE_HOME"
        )
    folder = StateFolder(path)
    try:
        accounts = folder.accounts()
    except OSError as error:
        raise JobError(f"--like memory: {path} cannot be read: {error.strerror}") from error
    return like_memory(accounts, base_url, folder.now())
