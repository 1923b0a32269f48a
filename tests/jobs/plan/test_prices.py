"""What tokens cost: a table that is dated, and names that mean no other model."""

from __future__ import annotations

import math
from datetime import date

import pytest

from ratedispatch.jobs.plan.prices import TABLE, Price, price_of


def test_every_entry_has_a_source_and_a_day() -> None:
    """Nobody can check a price that does not say where and when it was read."""
    for price in TABLE:
        assert price.source.startswith("https://")
        assert price.day is not None
        assert date(2024, 1, 1) <= price.day <= date(2026, 11, 23)


def test_every_price_is_plausible() -> None:
    """Above zero, output dearer than input, and no output of embeddings."""
    for price in TABLE:
        assert 0 < price.input <= 100
        if price.model.startswith("text-embedding"):
            assert price.output == 0
        else:
            assert price.input < price.output <= 200
    assert len({price.model for price in TABLE}) == len(TABLE)


@pytest.mark.parametrize(
    ("model", "entry"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4.1-nano", "gpt-4.1-nano"),
        (" GPT-5-Nano-2025-08-07 ", "gpt-5-nano"),
        ("o3-2025-04-16", "o3"),
        ("text-embedding-3-large", "text-embedding-3-large"),
    ],
)
def test_a_dated_snapshot_costs_what_its_model_does(model: str, entry: str) -> None:
    """The longest name that leaves nothing but a date."""
    price = price_of(model)
    assert price is not None
    assert price.model == entry


@pytest.mark.parametrize(
    "model",
    [
        "",
        "gpt-4",
        "gpt-4o-audio-preview",
        "gpt-4o-mini-tts",
        "gpt-4o-2024-05-13",  # was twice as dear
        "gpt-4o-2024-08-06-x",
        "gpt-5.9",
        "gpt-5-pro",
        "ft:gpt-4o-2024-08-06:me::id",
        "gpt-4o:free",
        "mistral/gpt-4o",
        "text-embedding-3",
        "-2024-08-06",
    ],
)
def test_another_model_that_begins_alike_has_no_price(model: str) -> None:
    """A wrong price is worse than none."""
    assert price_of(model) is None


def test_cost_of_tokens() -> None:
    """2 million in at 0.5 USD and half a million out at 4 USD are 3 USD."""
    assert Price("m", 0.5, 4.0).usd(2_000_000, 500_000) == pytest.approx(3.0)


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_a_price_that_means_nothing_is_refused(value: float) -> None:
    """Negative, infinite, not a number."""
    for prices in ((value, 1.0), (1.0, value)):
        with pytest.raises(ValueError, match="must be 0 or more USD"):
            Price("m", *prices)
