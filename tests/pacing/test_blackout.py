"""An outage is told from a limit by what was admitted in between."""

from __future__ import annotations

from ratedispatch.pacing.blackout import Blackout


def refuse(blackout: Blackout, numbers: range, begin: float, end: float) -> None:
    """Refuse *numbers* at even distances from *begin* to *end*."""
    step = (end - begin) / (len(numbers) - 1)
    for place, number in enumerate(numbers):
        blackout.refused(number, begin + place * step)


def test_a_second_in_which_everything_is_refused_is_an_outage() -> None:
    """It is over with the first answer to what left later, and only once."""
    blackout = Blackout()
    refuse(blackout, range(10, 15), 100.0, 101.0)
    assert not blackout.is_over(9, 99.9)
    assert blackout.is_over(15, 101.2)
    assert not blackout.is_over(16, 101.3)


def test_too_few_or_too_short_is_none() -> None:
    """Three refusals; and five within half a second."""
    for numbers, seconds in ((range(10, 13), 2.0), (range(10, 15), 0.5)):
        blackout = Blackout()
        refuse(blackout, numbers, 100.0, 100.0 + seconds)
        assert not blackout.is_over(numbers.stop, 100.0 + seconds + 0.1)


def test_what_is_admitted_in_between_makes_it_a_limit() -> None:
    """Each third request is let through."""
    blackout = Blackout()
    for number in range(10, 40):
        if number % 3:
            blackout.refused(number, 100.0 + number / 10)
    assert not blackout.is_over(40, 104.0)


def test_a_refusal_by_chance_right_after_it_changes_nothing() -> None:
    """The first answer is on its way meanwhile."""
    blackout = Blackout()
    refuse(blackout, range(10, 15), 100.0, 101.0)
    blackout.refused(17, 101.3)
    assert blackout.is_over(15, 101.2)


def test_one_that_comes_again_within_two_minutes_is_a_window() -> None:
    """And one that comes later is an outage."""
    blackout = Blackout()
    found = []
    for begin in (100.0, 160.0, 300.0):
        refuse(blackout, range(int(begin), int(begin) + 5), begin, begin + 2)
        found.append(blackout.is_over(int(begin) + 5, begin + 2.5))
    assert found == [True, False, True]
