"""Whether readings move with what we spend."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing.limit.reading_filter import (
    MAX_CREDIBLE_RATIO,
    FilterTuning,
    ReadingFilter,
)


def watch(
    count: int,
    *,
    per_request: float = 1.0,
    others: float = 0.0,
    gap: float = 0.02,
    rate: float = 50.0,
    start: float = 1000.0,
    returned: float = 0.0,
) -> ReadingFilter:
    """Return what is seen of a bucket that loses *per_request* for each, and *others* a second."""
    readings, remaining = ReadingFilter(), start
    for number in range(1, count + 1):
        remaining += (rate - others) * gap - per_request
        readings.add(
            remaining,
            rate,
            at=number * gap,
            charged=number,
            returned=returned * number,
            number=number,
        )
    return readings


def test_a_bucket_that_falls_by_what_we_spend_is_correlated() -> None:
    readings = watch(100)
    assert readings.ratio == pytest.approx(1)
    assert readings.is_correlated
    assert readings.others == pytest.approx(0, abs=1e-6)
    assert readings.unit_ratio == 1


def test_few_readings_prove_nothing() -> None:
    readings = watch(8)
    assert readings.ratio is None
    assert not readings.is_correlated
    assert readings.others == 0
    assert readings.unit_ratio == 1


def test_what_others_take_is_measured() -> None:
    readings = watch(700, others=25)  # the first tenth falls from a bucket that may be full
    assert readings.others == pytest.approx(24.8510374)
    assert readings.ratio == pytest.approx(1.49702075)


@pytest.mark.parametrize("factor", [0.1, 0.3])
def test_readings_that_understate_are_seen_through(factor: float) -> None:
    """A header that tells a tenth falls by a tenth."""
    readings = watch(100, per_request=factor, rate=50 * factor, start=100)
    assert readings.unit_ratio == pytest.approx(factor)
    assert not readings.is_correlated


def test_readings_that_overstate_prove_no_surplus() -> None:
    """Many at once: a header that tells tenfold falls by ten for each."""
    readings = watch(40, per_request=10, rate=500, start=30_000, gap=0.001)
    assert readings.ratio is not None
    assert readings.ratio == pytest.approx(9.5)
    assert MAX_CREDIBLE_RATIO == 1.5


def test_a_bucket_that_is_full_says_nothing_about_others() -> None:
    """What flows into a full bucket runs over: it was not taken by anybody."""
    readings = ReadingFilter()
    for number in range(1, 50):
        readings.add(3000, 50, at=number, charged=number, returned=0, number=number)
    assert readings.others == 0


def test_a_counter_that_starts_anew_is_no_refund_and_no_lie() -> None:
    """The minute of a fixed window is over: what was seen before is dropped."""
    readings = watch(100, start=200)
    readings.add(3000, 50, at=2.02, charged=101, returned=0, number=101)
    assert readings.ratio is None
    assert readings.unit_ratio == 1


def test_what_runs_over_between_two_readings_was_taken_by_nobody() -> None:
    """
    (reading before, reading, what others took a second).

    In half a second 25 flow into a bucket of 50, and 7 are spent. From a full bucket all that
    flowed in may have run over.
    """
    for before, after, others in [(50, 43, 0.0), (30, 23, 50.0), (30, 43, 0.0)]:
        readings = ReadingFilter()
        readings.add(50, 50, at=0.0, charged=1, returned=0, number=1)
        spent = 51 - before
        readings.add(before, 50, at=0.0, charged=spent, returned=0, number=2)
        readings.add(after, 50, at=0.5, charged=spent + 7, returned=0, number=9)
        assert readings.others == pytest.approx(others, abs=0.5), (before, after)


def test_what_is_given_back_is_not_spent() -> None:
    """Reserved 1 and used 0.3: the bucket falls by 0.3."""
    readings = watch(100, per_request=0.3, rate=10, start=500, returned=0.7)
    assert readings.ratio == pytest.approx(1)
    assert readings.others == pytest.approx(0, abs=1e-6)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e9),
            st.floats(0, 1e6),
            st.floats(0, 1e3),
            st.floats(0, 1e6),
            st.floats(0, 1e6),
            st.integers(0, 100),
        )
    )
)
def test_no_readings_whatever_upset_it(
    rows: list[tuple[float, float, float, float, float, int]],
) -> None:
    """A law: shares and rates stay numbers of at least zero."""
    readings = ReadingFilter()
    at = charged = returned = 0.0
    number = 0
    for remaining, rate, gap, spent, unused, requests in rows:
        at, charged, returned, number = (
            at + gap,
            charged + spent,
            returned + unused,
            number + requests,
        )
        readings.add(remaining, rate, at=at, charged=charged, returned=returned, number=number)
        assert readings.ratio is None or 0 <= readings.ratio < math.inf
        assert 0 <= readings.others < math.inf
        assert 0 < readings.unit_ratio <= 1


@pytest.mark.parametrize(
    ("fall", "ratio", "is_correlated", "unit_ratio", "others"),
    [
        (1900, 1.0, True, 1.0, 0),
        (2900, 1.5, True, 1.0, 100),
        (900, 0.5, True, 1.0, 0),
        (300, 0.2, False, 0.2, 0),
        (0, 0.05, False, 0.05, 0),
        (-100, 0.0, False, 1e-6, 0),
    ],
)
def test_what_readings_are_worth(
    fall: float, ratio: float, is_correlated: bool, unit_ratio: float, others: float
) -> None:
    """Every 10 s we spend 2,000, 100 flow in, and what remains falls by *fall*; none is faded."""
    readings = ReadingFilter(FilterTuning(memory_requests=1e18, full_share=2.0))
    for step in range(5):
        assert (readings.ratio, readings.is_correlated) == (None, False)
        assert (readings.unit_ratio, readings.others) == (1.0, 0.0)
        readings.add(
            20_000 - step * fall,
            10,
            at=10.0 * step,
            charged=2000.0 * step,
            returned=0,
            number=step + 1,
        )
    assert readings.seen == 5
    assert (readings.ratio, readings.is_correlated) == (ratio, is_correlated)
    assert (readings.unit_ratio, readings.others) == (unit_ratio, others)
    readings.forget()
    assert (readings.ratio, readings.unit_ratio, readings.others) == (None, 1.0, 0.0)
