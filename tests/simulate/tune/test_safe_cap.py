"""A cap that cuts next to no answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.tune.safe_cap import MOST_CUT, SafeCap, safe_cap


def test_the_cap_is_just_above_all_but_one_of_a_thousand_answers() -> None:
    """Of lengths 1 to 1,000 it cuts one, which is one in a thousand."""
    lengths = Lengths.of(range(1, 1_001))
    assert safe_cap([(lengths, [4_000] * 200)]) == SafeCap(1_000, 0.0, 200)
    assert safe_cap([(lengths, [4_000] * 200)], most_cut=0.01) == SafeCap(992, 200 * 0.008, 200)


def test_rows_with_a_lower_cap_stay_as_they_are() -> None:
    """Where no row has a higher one, there is nothing to propose."""
    lengths = Lengths.parse("100")
    assert safe_cap([(lengths, [50, 104, 400, 0])]) == SafeCap(104, 0.0, 2)
    assert safe_cap([(lengths, [50, 104])]) is None
    assert safe_cap([(lengths, [])]) is None


def test_of_several_models_none_is_cut() -> None:
    """The cap is that of the longest answers, unless their own caps are lower."""
    short, long = Lengths.parse("100"), Lengths.parse("500")
    assert safe_cap([(short, [900] * 3), (long, [900] * 2)]) == SafeCap(504, 0.0, 5)
    assert safe_cap([(short, [900] * 3), (long, [200] * 2)]) == SafeCap(200, 0.0, 3)


def test_lengths_that_follow_the_cap_say_nothing_about_a_lower_one() -> None:
    """A model that uses half of its cap would be cut at each."""
    assert safe_cap([(Lengths((0.5,), are_shares=True), [400])]) is None


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=300), st.integers(1, 10_000))
def test_no_more_answers_are_cut_than_may_be(lengths: list[int], cap: int) -> None:
    """Of those that were observed."""
    found = safe_cap([(Lengths.of(lengths), [cap] * 10)])
    if found is not None:
        assert sum(length > found.tokens for length in lengths) <= MOST_CUT * len(lengths)
        assert found.tokens < cap
