"""Lengths of outputs: what is written down, drawn and cut."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.simulate.forecast.lengths import PARTS, Lengths


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ("200", 200.0),
        ("uniform:50:150", 100.0),
        ("normal:300:20", 300.0),
        ("exponential:80", 80.0),
        ("lognormal:200:0.5", 200.0 * math.exp(0.125)),
    ],
)
def test_a_distribution_has_the_mean_that_it_is_written_with(text: str, mean: float) -> None:
    assert Lengths.parse(text).mean == pytest.approx(mean, rel=2e-3)  # ends of a tail are cut


@pytest.mark.parametrize(
    "text", ["", "many", "-1", "nan", "inf", "uniform:5", "uniform:9:2", "gamma:1:2", "1:2"]
)
def test_what_is_no_distribution_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a distribution of tokens: N, uniform:LOW:HIGH"):
        Lengths.parse(text)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=3 * PARTS))
def test_the_mean_of_samples_is_kept(samples: list[float]) -> None:
    lengths = Lengths.of(samples)
    assert len(lengths.parts) <= PARTS
    assert list(lengths.parts) == sorted(lengths.parts)
    # parts hold one sample more or less, so that the mean is off by no more than one part is
    slack = (max(samples) - min(samples)) / PARTS if len(samples) > PARTS else 0.0
    assert lengths.mean == pytest.approx(math.fsum(samples) / len(samples), abs=slack + 1e-6)


@given(st.integers(1, 500), st.integers(0, 2**32))
def test_no_draw_exceeds_the_cap(cap: int, seed: int) -> None:
    drawn = Lengths.parse("lognormal:200:1").draw(random.Random(seed), cap)
    assert 1 <= drawn <= cap


def test_shares_are_of_the_cap() -> None:
    half = Lengths.of([0.5], are_shares=True)
    assert half.draw(random.Random(0), 80) == 40
    assert half.mean_within(80) == 40.0


def test_a_cap_of_zero_cuts_nothing() -> None:
    assert Lengths.parse("900").draw(random.Random(0), 0) == 900


def test_rows_without_a_cap_may_have_other_lengths() -> None:
    """A share of a cap says nothing of a row that has none."""
    lengths = Lengths((0.5,), are_shares=True, uncapped=Lengths((70.0,)))
    rng = random.Random(1)
    assert (lengths.draw(rng, 100), lengths.draw(rng, 0)) == (50, 70)
    assert (lengths.mean_within(100), lengths.mean_within(0)) == (50, 70)
