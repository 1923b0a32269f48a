"""A limit that is learned from refusals alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing.limit.rate_search import Bracket


def test_nothing_is_known_before_two_refusals() -> None:
    bracket = Bracket()
    bracket.refuse(10, amount=1, admitted=500, resumes_at=11)
    assert not bracket.is_set
    assert bracket.rate(20) == math.inf


def test_between_two_refusals_the_provider_gave_what_flowed_in() -> None:
    """100 admitted in 4 s: 25 a second at least."""
    bracket = Bracket()
    bracket.refuse(10, amount=1, admitted=500, resumes_at=10.5)
    bracket.refuse(14, amount=1, admitted=600, resumes_at=14.5)
    assert bracket.rate(14.5) == pytest.approx(25)
    assert 25 < bracket.rate(24.5) <= 25 * 1.2 * 1.01


def test_an_outage_is_no_limit() -> None:
    """Nothing admitted between two refusals says nothing about the rate."""
    bracket = Bracket()
    for now in (10.0, 10.5, 11.5):
        bracket.refuse(now, amount=1, admitted=500, resumes_at=now + 0.5)
    assert not bracket.is_set


def test_refusals_far_apart_have_nothing_to_do_with_each_other() -> None:
    bracket = Bracket()
    bracket.refuse(10, amount=1, admitted=0, resumes_at=11)
    bracket.refuse(1000, amount=1, admitted=40_000, resumes_at=1001)
    assert not bracket.is_set


def test_a_limit_that_was_lifted_is_found_within_minutes() -> None:
    """Without a further refusal the rate doubles again and again after a minute."""
    bracket = Bracket()
    bracket.suppose(25, 0)
    assert bracket.rate(30) == pytest.approx(25, rel=0.02)
    assert bracket.rate(60 + 60) >= 4 * 25


def test_a_guess_is_replaced_by_what_refusals_tell() -> None:
    """A first refusal after a guess has no stretch of time before it, and tells nothing yet."""
    bracket = Bracket()
    bracket.suppose(8, 5)
    bracket.refuse(10, amount=1, admitted=500, resumes_at=10.5)
    assert bracket.rate(10.5) == pytest.approx(8)
    bracket.refuse(14, amount=1, admitted=600, resumes_at=14.5)
    assert bracket.rate(14.5) == pytest.approx(25)


def test_it_can_be_forgotten() -> None:
    bracket = Bracket()
    bracket.suppose(25, 0)
    bracket.forget()
    assert bracket.rate(1) == math.inf


@given(
    st.lists(st.tuples(st.floats(0.001, 500), st.floats(0, 1e6), st.floats(0, 60)), max_size=30),
    st.floats(0, 1e9),
    st.none() | st.floats(0.001, 1e6),
)
def test_the_rate_stays_above_zero_and_never_falls_by_itself(
    refusals: list[tuple[float, float, float]], later: float, guess: float | None
) -> None:
    bracket = Bracket()
    now = admitted = 0.0
    if guess is not None:
        bracket.suppose(guess, 0)
    for gap, gained, pause in refusals:
        now, admitted = now + gap, admitted + gained
        bracket.refuse(now, amount=1, admitted=admitted, resumes_at=now + pause)
    assert 0 < bracket.rate(now) <= bracket.rate(now + later)
