"""Whether readings move with what we spend."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing.limit.reading_filter import MOST_HONEST, Evidence


def watch(
    count: int,
    *,
    per_request: float = 1.0,
    others: float = 0.0,
    gap: float = 0.02,
    rate: float = 50.0,
    start: float = 1000.0,
    returned: float = 0.0,
) -> Evidence:
    """Return what is seen of a bucket that loses *per_request* for each, and *others* a second."""
    evidence, remaining = Evidence(), start
    for number in range(1, count + 1):
        remaining += (rate - others) * gap - per_request
        evidence.add(
            remaining, rate, at=number * gap, mark=number, returned=returned * number, number=number
        )
    return evidence


def test_a_bucket_that_falls_by_what_we_spend_is_ours() -> None:
    evidence = watch(100)
    assert evidence.share == pytest.approx(1)
    assert evidence.is_ours
    assert evidence.others == pytest.approx(0, abs=1e-6)
    assert evidence.exchange == 1


def test_few_readings_prove_nothing() -> None:
    evidence = watch(8)
    assert evidence.share is None
    assert not evidence.is_ours
    assert evidence.others == 0
    assert evidence.exchange == 1


def test_what_others_take_is_measured() -> None:
    evidence = watch(700, others=25)  # the first tenth falls from a bucket that may be full
    assert evidence.others == pytest.approx(25, rel=0.01)
    assert evidence.share == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize("factor", [0.1, 0.3])
def test_readings_that_understate_are_seen_through(factor: float) -> None:
    """A header that tells a tenth falls by a tenth."""
    evidence = watch(100, per_request=factor, rate=50 * factor, start=100)
    assert evidence.exchange == pytest.approx(factor, rel=0.05)
    assert not evidence.is_ours


def test_readings_that_overstate_prove_no_surplus() -> None:
    """Many at once: a header that tells tenfold falls by ten for each."""
    evidence = watch(40, per_request=10, rate=500, start=30_000, gap=0.001)
    assert evidence.share is not None
    assert evidence.share > MOST_HONEST


def test_a_bucket_that_is_full_says_nothing_about_others() -> None:
    """What flows into a full bucket runs over: it was not taken by anybody."""
    evidence = Evidence()
    for number in range(1, 50):
        evidence.add(3000, 50, at=number, mark=number, returned=0, number=number)
    assert evidence.others == 0


def test_a_counter_that_starts_anew_is_no_refund_and_no_lie() -> None:
    """The minute of a fixed window is over: what was seen before is dropped."""
    evidence = watch(100, start=200)
    evidence.add(3000, 50, at=2.02, mark=101, returned=0, number=101)
    assert evidence.share is None
    assert evidence.exchange == 1


def test_what_is_given_back_is_noticed() -> None:
    """Reserved 1, used 0.3: the bucket falls by 0.3 where the provider settles, else by 1."""
    settling = watch(100, per_request=0.3, rate=10, start=500, returned=0.7)
    keeping = watch(100, per_request=1.0, rate=10, start=500, returned=0.7)
    assert settling.settles
    assert not keeping.settles


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
    readings: list[tuple[float, float, float, float, float, int]],
) -> None:
    """Shares and rates stay numbers of at least zero."""
    evidence = Evidence()
    at = mark = returned = 0.0
    number = 0
    for remaining, rate, gap, spent, unused, requests in readings:
        at, mark, returned, number = at + gap, mark + spent, returned + unused, number + requests
        evidence.add(remaining, rate, at=at, mark=mark, returned=returned, number=number)
        assert evidence.share is None or 0 <= evidence.share < math.inf
        assert 0 <= evidence.others < math.inf
        assert 0 < evidence.exchange <= 1
