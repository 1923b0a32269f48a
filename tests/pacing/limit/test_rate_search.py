"""A limit that is learned from refusals alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ratedispatch.pacing.limit.rate_search import RateSearch


def test_nothing_is_known_before_two_refusals() -> None:
    search = RateSearch()
    search.on_refusal(10, amount=1, admitted=500, resumes_at=11)
    assert not search.is_set
    assert search.rate(20) == math.inf


def test_between_two_refusals_the_provider_gave_what_flowed_in() -> None:
    """100 admitted in 4 s: 25 a second at least."""
    search = RateSearch()
    search.on_refusal(10, amount=1, admitted=500, resumes_at=10.5)
    search.on_refusal(14, amount=1, admitted=600, resumes_at=14.5)
    assert search.rate(14.5) == pytest.approx(25)
    # ten seconds later a seventh more is tried
    assert search.rate(24.5) == pytest.approx(25 * (1 + 10.4 / 70))


def test_an_outage_is_no_limit() -> None:
    """Nothing admitted between two refusals says nothing about the rate."""
    search = RateSearch()
    for now in (10.0, 10.5, 11.5):
        search.on_refusal(now, amount=1, admitted=500, resumes_at=now + 0.5)
    assert not search.is_set


def test_refusals_far_apart_have_nothing_to_do_with_each_other() -> None:
    search = RateSearch()
    search.on_refusal(10, amount=1, admitted=0, resumes_at=11)
    search.on_refusal(1000, amount=1, admitted=40_000, resumes_at=1001)
    assert not search.is_set


def test_a_limit_that_was_lifted_is_found_within_minutes() -> None:
    """Without a further refusal the rate doubles again and again after a minute."""
    search = RateSearch()
    search.seed(25, 0)
    assert search.rate(30) == pytest.approx(25 * 1.015)
    assert search.rate(60 + 60) == pytest.approx(4 * 25 * 1.03)


def test_a_seed_is_replaced_by_what_refusals_tell() -> None:
    """A first refusal after a seed has no stretch of time before it, and tells nothing yet."""
    search = RateSearch()
    search.seed(8, 5)
    search.on_refusal(10, amount=1, admitted=500, resumes_at=10.5)
    assert search.rate(10.5) == pytest.approx(8)
    search.on_refusal(14, amount=1, admitted=600, resumes_at=14.5)
    assert search.rate(14.5) == pytest.approx(25)


def test_it_can_be_forgotten() -> None:
    search = RateSearch()
    search.seed(25, 0)
    search.forget()
    assert search.rate(1) == math.inf


@example([(1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 10.0, 0.0)], 1.0, None)
@given(
    st.lists(st.tuples(st.floats(0.001, 500), st.floats(0, 1e6), st.floats(0, 60)), max_size=30),
    st.floats(0, 1e9),
    st.none() | st.floats(0.001, 1e6),
)
def test_the_rate_stays_above_zero_and_never_falls_by_itself(
    refusals: list[tuple[float, float, float]], later: float, seed: float | None
) -> None:
    """A law for any refusals, so it has bounds."""
    search = RateSearch()
    now = admitted = 0.0
    if seed is not None:
        search.seed(seed, 0)
    for gap, gained, pause in refusals:
        now, admitted = now + gap, admitted + gained
        search.on_refusal(now, amount=1, admitted=admitted, resumes_at=now + pause)
    assert 0 < search.rate(now) <= search.rate(now + later)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (14.5, 25),
        (19.5, 25 * (1 + 0.2 * 0.5) * 1.0025),  # half of the way from the lower bound to the upper
        (24.5, 25 * 1.2 * 1.005),
        (74.5, 25 * 1.2 * 1.03),  # slowly on
        (104.5, 25 * 1.2 * 1.03 * 2),  # and after a minute it counts as lifted
        (134.5, 25 * 1.2 * 1.03 * 4),
    ],
)
def test_how_it_climbs(now: float, expected: float) -> None:
    """100 admitted in 4 s with a pause of 2: 25 a second at least, 1.2 times as many at most."""
    search = RateSearch()
    search.on_refusal(10, amount=1, admitted=500, resumes_at=12)
    search.on_refusal(14, amount=1, admitted=600, resumes_at=14.5)
    assert search.rate(now) == pytest.approx(expected, rel=1e-12)
