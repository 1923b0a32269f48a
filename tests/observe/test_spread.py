"""Amounts by size: quantiles within three per cent, whatever the scale."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.observe.spread import Spread


@given(st.lists(st.floats(0.001, 1e9), min_size=1, max_size=60), st.sampled_from([0.05, 0.5, 0.95]))
def test_a_quantile_is_right_within_three_percent(amounts: list[float], share: float) -> None:
    """Beside the amount that so many are at most."""
    spread = Spread()
    for amount in amounts:
        spread.add(amount)
    exact = sorted(amounts)[max(0, math.ceil(share * len(amounts) - 1e-9) - 1)]
    assert spread.quantile(share) == pytest.approx(exact, rel=0.031)
    assert sum(count for _, _, count in spread.bars(30)) == len(amounts)
    assert len(spread.bars(30)) <= 30


def test_what_is_no_amount_is_left_out() -> None:
    """NaN, infinities and what is below zero; zero counts."""
    spread = Spread()
    for amount in (math.nan, math.inf, -1.0, 0.0):
        spread.add(amount)
    assert (spread.count, spread.quantile(0.5), spread.mean) == (1, 0.0, 0.0)
