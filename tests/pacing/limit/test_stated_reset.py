"""A limit that comes without the window that it is for, and the resets that tell it."""

from __future__ import annotations

import pytest

from ratedispatch.limits import Limits, Reading
from ratedispatch.pacing.limit.account import SpendMark
from ratedispatch.pacing.limit.stated_reset import StatedReset
from ratedispatch.pacing.limit.tracked import TrackedLimit


def told(remaining: float, reset: float) -> Reading:
    return Reading("requests", remaining, 100, reset=reset)


@pytest.mark.parametrize(
    ("before", "after", "is_counter"),
    [
        pytest.param((99, 10), (60, 8), True, id="used up as time passes"),
        pytest.param((20, 2), (99, 10), True, id="starts over"),
        pytest.param((99, 0.6), (40, 36), False, id="the more is missing the longer it takes"),
        pytest.param((40, 36), (90, 6), False, id="fills"),
        pytest.param((99, 10), (60, 9), None, id="a second is an error of the date"),
        pytest.param((99, 10), (99, 2), None, id="nothing was used"),
    ],
)
def test_a_counter_and_a_bucket_tell_their_resets_differently(
    before: tuple[float, float], after: tuple[float, float], is_counter: bool | None
) -> None:
    resets = StatedReset()
    assert resets.judged(told(*before)) is None
    resets.judged(told(*after))
    assert resets.is_counter is is_counter


def test_the_longest_time_to_a_reset_is_the_window_of_a_counter() -> None:
    resets = StatedReset()
    resets.judged(told(99, 7.0))
    reading = resets.judged(told(50, 4.0))
    assert reading is not None
    assert (reading.period, reading.ends_in, reading.window) == (6, 4.0, None)
    reading = resets.judged(told(99, 10.9))  # compared with a date that is rounded down
    assert reading is not None
    assert (reading.period, reading.ends_in) == (10, 10.9)


def test_a_limit_of_ten_seconds_is_none_of_a_minute() -> None:
    """100 in ten seconds: 50 of them were sent, and the other 50 may go before the window ends."""
    limit = TrackedLimit(Limits("auto").rates()[0], Limits("auto").burst_of)
    limit.start(0.0, 1.0)
    changes = []
    for number in range(50):
        now = number / 10
        charged, returned, _ = limit.spend(1.0, now)
        mark = SpendMark(now, number, charged, returned, 1.0, lambda: 0.0, in_flight=lambda _: 9.0)
        changes.append(limit.observe(told(99 - number, 10.0 - now), mark, now))
    assert [change for change in changes if change is not None] == [pytest.approx(60 / 9 * 100)]
    assert limit.closed(50, 4.9) == 0
    assert limit.closed(51, 4.9) == pytest.approx(5.15)
