"""A window at whose end a counter starts over."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing.limit.account import SpendMark
from ratedispatch.pacing.limit.counted_window import CountedWindow


def read(
    window: CountedWindow,
    remaining: float,
    now: float,
    *,
    ends_in: float,
    in_flight: float = 0.0,
    sent_at: float | None = None,
) -> None:
    sent_at = now if sent_at is None else sent_at
    mark = SpendMark(sent_at, 1, 1.0, 0.0, 1.0, lambda: 0.0, in_flight=lambda _: in_flight)
    window.read(remaining, mark, now, ends_in=ends_in, period=60.0)


def test_before_the_first_reading_nothing_is_known() -> None:
    window = CountedWindow()
    assert window.wait(1000, 5.0) == 0
    assert window.left == math.inf


def test_what_is_in_flight_is_not_in_its_number_yet() -> None:
    """600 are left, and 20 on their way, and the one that was answered."""
    window = CountedWindow()
    read(window, 600, 5.0, ends_in=50, in_flight=20)
    assert window.left == 579
    window.spend(500)
    window.give(1)
    assert window.left == 80
    assert window.wait(80, 6.0) == 0
    assert window.wait(81, 6.0) == pytest.approx(49.05)


def test_a_number_that_is_behind_raises_nothing() -> None:
    window = CountedWindow()
    read(window, 600, 5.0, ends_in=50)
    window.spend(400)
    read(window, 500, 6.0, ends_in=49)
    assert window.left == 199
    read(window, 100, 7.0, ends_in=48)
    assert window.left == 99


def test_at_its_end_it_starts_over() -> None:
    """Its end is told in whole seconds: the earliest that was told counts."""
    window = CountedWindow()
    read(window, 10, 5.0, ends_in=50)
    read(window, 9, 5.6, ends_in=49)
    window.spend(8)
    assert window.wait(1, 6.0) == pytest.approx(54.6 + 0.05 - 6.0)
    assert window.wait(1, 54.66) == 0
    assert window.left == math.inf
    read(window, 600, 54.9, ends_in=60)
    assert window.left == 599
    read(window, 1, 55.0, ends_in=1)  # an answer of the window that is over
    assert window.left == 599


def test_what_left_before_it_began_was_counted_then() -> None:
    """Its answers are told in this window, and take nothing from it."""
    window = CountedWindow()
    read(window, 10, 5.0, ends_in=50)
    for count, now in enumerate((55.1, 55.2, 55.3)):
        read(window, 600 - count, now, ends_in=60, sent_at=54.0)
    assert window.left == 601
    read(window, 597, 55.5, ends_in=59, sent_at=55.2)
    assert window.left == 599


def test_a_time_that_is_old_is_no_other_window() -> None:
    """A busy server tells the time of fifteen seconds ago."""
    window = CountedWindow()
    read(window, 600, 5.0, ends_in=50)
    window.spend(500)
    read(window, 400, 9.0, ends_in=61)
    assert window.left == 99
    assert window.wait(100, 9.0) == pytest.approx(46.05)
    read(window, 600, 56.0, ends_in=60 + 15)  # of the next one, by a time that is as old
    assert window.left == 599
    assert window.wait(600, 56.0) == pytest.approx(55 + 60 + 0.05 - 56)


def test_a_number_of_the_window_before_is_seen_through() -> None:
    """The time was told of the new one, and the number of the one before."""
    window = CountedWindow()
    read(window, 10, 5.0, ends_in=50)
    read(window, 0, 55.2, ends_in=60)
    assert window.left == -1
    read(window, 600, 55.4, ends_in=60)
    assert window.left == 599
    read(window, 50, 58.0, ends_in=57)
    read(window, 500, 61.0, ends_in=54)  # too late for that
    assert window.left == 49


def test_a_refusal_closes_it() -> None:
    window = CountedWindow()
    read(window, 600, 5.0, ends_in=50)
    window.close()
    assert window.wait(1, 5.0) == pytest.approx(50.05)


@pytest.mark.parametrize(
    ("fall", "expected"), [(1.0, True), (0.5, True), (0.4, False), (0.0, False)]
)
def test_what_it_promises_has_to_be_confirmed_by_answers(fall: float, expected: bool) -> None:
    """From the fifth answer on, by a fall of half of what was answered."""
    window = CountedWindow()
    for number in range(5):
        assert not window.is_confirmed
        read(window, 600 - fall * number, 5.0, ends_in=50)
    assert window.is_confirmed is expected


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6),
            st.floats(0, 1e3),
            st.floats(0, 60),
            st.floats(0, 10),
            st.floats(0, 9),
        )
    )
)
def test_no_readings_whatever_let_more_through_than_was_told(
    rows: list[tuple[float, float, float, float, float]],
) -> None:
    """A law: what is left is never more than the newest number of a window that has one."""
    window, now = CountedWindow(), 0.0
    for remaining, in_flight, ends_in, gap, spent in rows:
        now += gap
        end = window._end
        read(window, remaining, now, ends_in=ends_in, in_flight=in_flight)
        if now + ends_in >= end - 30:
            assert window.left <= remaining
        window.spend(spent)
        assert window.wait(1.0, now) >= 0
