"""A window whose counter counts what arrives."""

from __future__ import annotations

import math

import pytest

from ratedispatch.limits import Reading
from ratedispatch.pacing.limit.account import SpendMark
from ratedispatch.pacing.limit.arrival_window import ArrivalWindow


def read(
    window: ArrivalWindow,
    remaining: float,
    now: float,
    ends_in: float,
    *,
    in_flight: float = 0.0,
    latency: float = 0.0,
    length: float | None = None,
    refused: bool = False,
) -> None:
    reading = Reading("requests", remaining, 100, length, length or 60, ends_in, True)
    mark = SpendMark(now - latency, 1, 1.0, 0.0, 1.0, lambda: 0.0, refused)
    window.read(reading, mark._replace(in_flight=lambda _: in_flight), now)


def confirmed() -> ArrivalWindow:
    """Return a window of ten seconds, of which 95 of 100 are left after half a second."""
    window = ArrivalWindow()
    for number in range(1, 6):
        read(window, 100 - number, 0.1 * number, 10 - 0.1 * number)
    assert window.is_confirmed
    return window


def test_what_is_in_flight_may_have_been_counted() -> None:
    """20 of the 60 that are left are on their way; as they are answered they turn out to be."""
    window = confirmed()
    read(window, 60, 1.0, 9, in_flight=20)
    assert window.left == 40
    window.spend(10)
    window.give(1)
    assert window.left == 31
    read(window, 55, 1.1, 9, in_flight=5)
    assert window.left == 50
    read(window, 58, 1.2, 9, in_flight=4)  # it arrived before the one above
    assert window.left == 51


def test_its_end_is_waited_for_once_it_was_seen_to_count() -> None:
    window = ArrivalWindow()
    for number in range(5):
        read(window, 0, 0.5, 9.5, in_flight=1 + number)
    assert window.left == -5
    assert window.wait(1, 1.0) == 0
    window = confirmed()
    window.spend(95)
    assert window.wait(1, 1.0) == pytest.approx(9.05)
    assert window.wait(1, 10.05) == 0
    assert window.left == 100
    window.spend(100)  # it begins once, also before anything of it is answered
    assert window.wait(1, 10.2) == pytest.approx(9.85 + 0.05 - 0.1)


def test_a_refusal_closes_it_whatever_was_seen() -> None:
    window = ArrivalWindow()
    read(window, 1, 0.5, 9.5)
    assert window.close()
    assert window.wait(1, 1.0) == pytest.approx(9.05)
    window = confirmed()
    assert not window.close()  # there was room: it was about something else
    assert window.wait(1, 1.0) == 0
    read(window, 0, 1.0, 9, refused=True)
    assert window.close()
    assert window.wait(1, 1.0) == pytest.approx(9.05)
    read(window, 40, 1.2, 9, latency=0.5)  # of one that arrived before
    assert window.left == 0


@pytest.mark.parametrize(
    ("told", "length", "is_known", "period"),
    [
        ([10, 9, 8], None, True, 10),
        ([3, 2, 10], None, True, 10),
        ([4, 3], None, False, 4),
        ([6, 5], None, True, 6),
        ([3600], None, False, 3600),
        ([10_000, 90], None, False, 10_000),  # milliseconds
        ([1], 1.0, True, 1),
    ],
)
def test_its_length_is_told_or_shows(
    told: list[float], length: float | None, is_known: bool, period: float
) -> None:
    window = ArrivalWindow()
    for number, ends_in in enumerate(told):
        read(window, 90, number, ends_in, length=length)
    assert (window.is_known, window.period) == (is_known, period)


def test_an_end_that_was_told_on_arrival_counts_from_there() -> None:
    """An answer of four seconds does not make the window longer."""
    reading = Reading("requests", 99, 100, None, 60, 10, True, ends_after_arrival=True)
    window = ArrivalWindow()
    window.read(reading, SpendMark(1.0, 1, 1.0, 0.0, 1.0, lambda: 0.0), 5.0)
    window.spend(99)
    assert window.close()
    assert window.wait(1, 5.0) == pytest.approx(6.05)


def test_answers_of_a_window_that_is_over_take_nothing_from_the_next() -> None:
    window = confirmed()
    window.spend(95)
    assert window.wait(1, 10.05) == 0
    read(window, 7, 10.1, 0, latency=2.0)
    assert window.left == 100
    read(window, 98, 10.2, 9.9, in_flight=3)
    assert window.left == 95
    read(window, 6, 10.3, 0.0, latency=2.0)
    assert window.left == 95


@pytest.mark.parametrize(("sent", "began"), [(9.4, 9.4), (11.0, 10.0)])
def test_the_next_window_shows_before_or_after_its_time(sent: float, began: float) -> None:
    """Its end is as far away as that of a new one."""
    window = confirmed()
    asked: list[float] = []

    def in_flight(since: float) -> float:
        asked.append(since)
        return 0.0

    mark = SpendMark(sent, 9, 9.0, 0.0, 1.0, lambda: 0.0, in_flight=in_flight)
    reading = Reading("requests", 99, 100, None, 60, 10, counts_arrivals=True)
    window.read(reading, mark, sent + 0.1)
    assert window.left == 99
    assert asked == [pytest.approx(began)]


@pytest.mark.parametrize(("remaining", "is_closed"), [(2, True), (3, False)])
def test_a_refusal_was_to_be_expected_where_two_are_left(remaining: float, is_closed: bool) -> None:
    window = ArrivalWindow()
    read(window, remaining, 0.5, 9.5)
    assert window.close() == is_closed


def test_ends_that_differ_by_rounding_are_of_one_window() -> None:
    """Of a window of a second, told in whole seconds; what is left does not rise."""
    window = ArrivalWindow()
    read(window, 90, 0.1, 1.0, length=1.0)
    read(window, 95, 0.2, 1.9, length=1.0)
    assert window.left == 90


def test_nothing_is_known_before_the_first_reading() -> None:
    assert ArrivalWindow().left == math.inf
