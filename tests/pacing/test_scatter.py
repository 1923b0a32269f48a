"""Refusals that are strewn singly, and such as stand close together."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing.scatter import Scatter


def refusals(numbers: list[int]) -> int | None:
    """Return how many of *numbers* it takes until they stand close together; None if all do not."""
    scatter = Scatter()
    for count, number in enumerate(numbers, start=1):
        scatter.refused(number)
        if scatter.is_dense:
            return count
    return None


@pytest.mark.parametrize(
    ("every", "enough"), [(1, 5), (2, 6), (4, 7), (9, 21), (12, None), (50, None)]
)
def test_a_limit_shows_in_a_few_refusals(every: int, enough: int | None) -> None:
    """By the fifth if all are refused; fewer than one in ten slow nothing down."""
    assert refusals([200 + every * number for number in range(40)]) == enough


def test_chance_is_hardly_ever_taken_for_a_limit() -> None:
    """2 % of 100 times 1,500 attempts."""
    rng = random.Random(5)
    runs = [[n for n in range(1_500) if rng.random() < 0.02] for _ in range(100)]
    assert [refusals(run) for run in runs] == [None] * 100


@given(st.permutations(range(100, 104)))
def test_the_order_of_the_answers_does_not_count(numbers: list[int]) -> None:
    """Only that in which the requests left."""
    assert refusals([*numbers, 104]) == 5
    assert refusals([*numbers, 400]) is None


def test_what_is_forgotten_counts_no_more() -> None:
    """It begins anew."""
    scatter = Scatter()
    for number in range(5):
        scatter.refused(number)
    scatter.forget()
    assert not scatter.is_dense
