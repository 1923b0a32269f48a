"""Collects what a report page shows of a job: its files, its history, prices, and a forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.jobs.plan.price_book import PriceBook
from ratedispatch.jobs.retold.result_lines import read_outcomes
from ratedispatch.observe.human import about_usd
from ratedispatch.observe.page.material import Material, report_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ratedispatch.jobs.plan.prices import Price
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.observe.history import History
    from ratedispatch.observe.outcomes import Outcomes
    from ratedispatch.observe.page.material import Predicted
    from ratedispatch.observe.report import Report

#: What is said of prices, by whether the caller gave them.
_FREE = "A trial with --fake costs nothing."
_GIVEN = "Cost: the given prices times the tokens that the answers of all runs report."
_LISTED = (
    "Cost: list prices times the tokens that the answers of all runs report, without discounts "
    "and without models whose price is not known."
)


def material_of(
    files: JobFiles,
    *,
    made: datetime,
    version: str,
    history: History | None = None,
    report: Report | None = None,
    price: Price | None = None,
    predicted: Predicted | None = None,
    with_cost: bool = True,
) -> Material:
    """
    Return what the page of a job shows.

    Args:
        files: The files of the job.
        made: The time of day.
        version: The version of this program.
        history: What happened in its runs, if that is known.
        report: The figures of its last run; by default those that *history* holds.
        price: What tokens of all models cost; None for the list.
        predicted: What was predicted of it.
        with_cost: Whether answers cost anything.

    Raises:
        OSError: A file is there and cannot be read.
    """
    outcomes = read_outcomes(files)
    if report is None and history is not None and history.runs:
        closing = history.runs[-1].closing
        report = None if closing is None else report_from(closing)
    cost = report.cost_usd if report is not None and with_cost else None
    costs = _costs(outcomes, PriceBook(price)) if with_cost else {}
    return Material(
        name=(files.table or files.output).name,
        made=made,
        version=version,
        outcomes=outcomes,
        history=history,
        report=report,
        cost=None if cost is None else about_usd(cost),
        costs=costs,
        priced_by=_priced_by(price, costs, with_cost=with_cost),
        is_free=not with_cost,
        predicted=predicted,
    )


def _priced_by(price: Price | None, costs: Mapping[str, float], *, with_cost: bool) -> str:
    if not with_cost:
        return _FREE
    if not costs:
        return ""
    return _LISTED if price is None else _GIVEN


def _costs(outcomes: Outcomes, prices: PriceBook) -> Mapping[str, float]:
    found = {}
    for model, sums in outcomes.models.items():
        price = prices.of(model)
        if price is not None:
            found[model] = price.usd(sums.prompt_tokens, sums.output_tokens)
    return found
