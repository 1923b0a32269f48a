"""
Computes the predicted cost of a job in USD, and what would be billed twice if it were killed.

Multiplies tokens by model with their prices; simulates nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratedispatch.jobs.plan.price_book import PriceBook
    from ratedispatch.simulate.forecast.course import Course
    from ratedispatch.simulate.forecast.forecast import Forecast, Interval


@dataclass(frozen=True, slots=True)
class ForetoldCost:
    """
    The predicted cost of a job.

    Args:
        usd: The whole, as far as prices are known; None if none is.
        unpriced: Models without a known price.
        rows_in_doubt: Rows in flight when it is killed: on average, and at most.
        usd_in_doubt: What these cost again; None if no price is known.
    """

    usd: Interval | None
    unpriced: tuple[str, ...]
    rows_in_doubt: tuple[float, int]
    usd_in_doubt: tuple[float, float] | None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values of JSON."""
        mean, most = self.rows_in_doubt
        dollars = self.usd_in_doubt or (None, None)
        return {
            "cost_usd": None if self.usd is None else self.usd._asdict(),
            "unpriced_models": list(self.unpriced),
            "killed": {
                "rows_mean": mean,
                "rows_most": most,
                "usd_mean": dollars[0],
                "usd_most": dollars[1],
            },
        }


def cost_of(forecast: Forecast, prices: PriceBook) -> ForetoldCost:
    """Return what the job of *forecast* costs at *prices*."""
    models = [kind.model for kind in forecast.kinds]
    found = [prices.of(model) for model in models]
    priced = [(index, price) for index, price in enumerate(found) if price is not None]
    unpriced = tuple(
        dict.fromkeys(m for m, price in zip(models, found, strict=True) if price is None)
    )

    def usd(course: Course) -> float:
        return sum(
            price.usd(course.prompt_tokens[index], course.output_tokens[index])
            for index, price in priced
        )

    in_flight = forecast.interval(lambda course: course.in_flight_mean)
    most = round(forecast.interval(lambda course: course.in_flight_peak).high)
    if not priced:
        return ForetoldCost(None, unpriced, (in_flight.mean, most), None)
    whole = forecast.interval(usd)
    answered = forecast.interval(lambda course: course.answered).mean
    each = whole.mean / answered if answered else 0.0
    doubt = each * in_flight.mean, each * most
    return ForetoldCost(whole, unpriced, (in_flight.mean, most), doubt)
