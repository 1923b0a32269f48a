"""Robust statistics: exact without noise, within their intervals with it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.simulate.fit.estimate import Residuals, quantile, share_of, slope_of

values = st.lists(
    st.tuples(st.floats(0.1, 1e6), st.booleans()),
    min_size=1,
    max_size=40,
)


def test_a_slope_without_noise_is_exact() -> None:
    """The interval is the slope; and none where nothing varies."""
    found = slope_of([(float(x), 3.0 + 0.25 * x) for x in range(30)])
    assert found is not None
    assert (found.value, found.low, found.high, found.n) == (0.25, 0.25, 0.25, 30)
    assert slope_of([(1.0, float(y)) for y in range(9)]) is None
    assert slope_of([(1.0, 2.0)]) is None


def test_a_third_of_nonsense_does_not_move_a_slope() -> None:
    """Half of what a mean would be moved by is left out."""
    rng = random.Random(3)
    points = [(float(x), 2.0 * x + (1e6 if rng.random() < 0.2 else 0)) for x in range(200)]
    found = slope_of(points)
    assert found is not None
    assert found.value == pytest.approx(2.0, rel=0.01)


def test_intervals_of_slopes_hold_what_they_promise() -> None:
    """95 in 100, and no fewer than 88 in 100 of a hundred draws."""
    rng = random.Random(7)
    held = 0
    for _ in range(100):
        points = [(x, 0.5 * x + rng.lognormvariate(0, 0.5)) for x in map(float, range(40))]
        found = slope_of(points)
        assert found is not None
        held += found.low <= 0.5 <= found.high
    assert held >= 88


def test_shares_have_wilsons_interval() -> None:
    """Against the numbers of Newcombe's table (1998): 15 of 148."""
    found = share_of(15, 148)
    assert (found.low, found.high) == pytest.approx((0.0624, 0.1605), abs=5e-4)
    assert share_of(0, 10).low == 0
    assert share_of(0, 0).high == 1


def test_the_tail_beyond_a_cut_counts_as_at_least() -> None:
    """Kaplan and Meier: of 1, 2 or more, 3 and 4 the last two have 3/8 each."""
    found = Residuals([(1.0, False), (2.0, True), (3.0, False), (4.0, False)])
    assert found.mean == pytest.approx((1 * 2 + 3 * 3 + 4 * 3) / 8)
    assert found.tail == 0
    cut = Residuals([(1.0, False), (2.0, True)])
    assert (cut.mean, cut.tail) == (1.5, 0.5)


@given(values)
def test_parts_keep_the_mean_and_rise(found: list[tuple[float, bool]]) -> None:
    """Whatever was cut; and a bound above all cuts nothing."""
    residuals = Residuals(found)
    parts = residuals.parts(7)
    assert math.fsum(parts) / len(parts) == pytest.approx(residuals.mean, rel=1e-6)
    assert parts == sorted(parts)
    assert residuals.mean_within(1e9) == pytest.approx(residuals.mean)


@given(values, st.floats(0.1, 1e6))
def test_a_bound_never_lengthens(found: list[tuple[float, bool]], most: float) -> None:
    """The mean of what is cut is below the bound and below the mean."""
    residuals = Residuals(found)
    within = residuals.mean_within(most)
    assert within <= most * (1 + 1e-9)
    assert within <= residuals.mean * (1 + 1e-9)


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=30))
def test_without_cuts_it_is_the_sample(found: list[float]) -> None:
    """Its mean, and its quantiles."""
    residuals = Residuals([(one, False) for one in found])
    assert residuals.mean == pytest.approx(math.fsum(found) / len(found))
    assert quantile(sorted(found), 0.0) == min(found)
    assert quantile(sorted(found), 1.0) == max(found)
