"""The three ways of counting a limit: published numbers, and laws."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.simulate.provider.go_durations import go_duration
from ratedispatch.simulate.provider.windows import FixedWindow, SlidingLog, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.simulate.provider.windows import Window

    Make = Callable[[float, float], Window]

DAY = 86_400.0

# (limit, used, requested, the wait in the message), from published error messages
WAITS = [
    (30000, 22999, 12528, "11.054s"),
    (50000, 47949, 3006, "1.146s"),
    (200000, 195869, 4412, "84ms"),
    (3, 3, 1, "20s"),
]

# (limit, level used, width, remaining, reset), from published headers; the level is the whole
# number that was used, or lies a little below it where a bucket had refilled in between
RESETS = [
    (10000, 519, 60, 9481, "3.114s"),
    (30000, 7, 60, 29993, "14ms"),
    (30000, 8, 60, 29992, "16ms"),
    (30000, 38, 60, 29962, "76ms"),
    (30000, 42, 60, 29958, "84ms"),
    (30000, 32, 60, 29968, "64ms"),
    (200000, 22, 60, 199978, "6ms"),
    (160000, 24, 60, 159976, "9ms"),
    (5000, 1, 60, 4999, "12ms"),
    (500, 1, 60, 499, "120ms"),
    (500, 1.467, 60, 498, "176ms"),
    (500, 3.867, 60, 496, "464ms"),
    (10000, 1, DAY, 9999, "8.64s"),
    (1500000, 4378.002, DAY, 1495621, "4m12.172s"),
    (1500000, 17249.35, DAY, 1482750, "16m33.562s"),
    (1500000, 21657.265, DAY, 1478342, "20m47.458s"),
    (1500000, 1456755.98, DAY, 43244, "23h18m29.144s"),
]

MAKERS: list[Make] = [
    TokenBucket,
    lambda limit, now: TokenBucket(limit, now, depth=5.0),
    SlidingLog,
    FixedWindow,
    lambda limit, now: FixedWindow(limit, now, width=1.0),
]


@pytest.mark.parametrize(("limit", "used", "requested", "text"), WAITS)
def test_the_quoted_wait_is_the_published_one(
    limit: float, used: float, requested: float, text: str
) -> None:
    """Limit, used and requested give the wait of the message to the millisecond."""
    bucket = TokenBucket(limit, 100.0)
    bucket.take(used, 100.0)
    assert go_duration(bucket.quoted_wait(requested, 100.0)) == text


@pytest.mark.parametrize(("limit", "level", "width", "remaining", "text"), RESETS)
def test_remaining_and_reset_are_the_published_ones(
    limit: float, level: float, width: float, remaining: int, text: str
) -> None:
    """A level gives both numbers of the headers to the millisecond."""
    bucket = TokenBucket(limit, 0.0, width=width, depth=width)
    bucket.take(level, 0.0)
    assert math.floor(bucket.remaining(0.0)) == remaining
    assert go_duration(bucket.reset(0.0)) == text


@pytest.mark.parametrize("make", MAKERS)
@settings(max_examples=50)
@given(
    data=st.lists(
        st.tuples(st.floats(0, 20), st.floats(1, 60), st.booleans()), min_size=1, max_size=30
    )
)
def test_the_wait_is_exact(make: Make, data: list[tuple[float, float, bool]]) -> None:
    """Whoever waits as long as told is admitted, and never a moment before."""
    now = 7.0
    window = make(60.0, now)
    for pause, amount, patient in data:
        now += pause
        wait = window.wait(amount, now)
        if wait == 0.0:
            window.take(amount, now)
        elif patient:
            if wait > 1e-3:
                assert window.wait(amount, now + wait - 1e-3) > 0
            now += wait
            assert window.wait(amount, now) <= 1e-9
            window.take(amount, now)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0.5, 40)), max_size=40),
    st.sampled_from([1.0, 10.0, 60.0]),
)
def test_no_window_of_a_bucket_exceeds_burst_and_rate(
    data: list[tuple[float, float]], depth: float
) -> None:
    """For amounts that fit into the bucket: sum ≤ burst + rate × width, in every window."""
    bucket = TokenBucket(60.0, 0.0, depth=depth)
    now, taken = 0.0, []
    for pause, amount in data:
        now += pause
        if amount <= depth and bucket.wait(amount, now) == 0.0:
            bucket.take(amount, now)
            taken.append((now, amount))
    for first, last in itertools.combinations_with_replacement(range(len(taken)), 2):
        spent = sum(amount for _, amount in taken[first : last + 1])
        assert spent <= depth + (taken[last][0] - taken[first][0]) + 1e-4


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0.5, 40)), max_size=60))
def test_no_minute_of_a_sliding_log_exceeds_the_limit(data: list[tuple[float, float]]) -> None:
    """Whatever comes, sixty seconds hold at most the limit."""
    log = SlidingLog(60.0, 0.0)
    now, taken = 0.0, []
    for pause, amount in data:
        now += pause
        if log.wait(amount, now) == 0.0:
            log.take(amount, now)
            taken.append((now, amount))
    for start, _ in taken:
        assert sum(amount for at, amount in taken if start <= at < start + 59.9999) <= 60.0001


def test_a_request_deeper_than_the_bucket_goes_when_it_is_full() -> None:
    """It leaves a debt, which the next ones wait for."""
    bucket = TokenBucket(600.0, 0.0, depth=1.0)  # 10 per second, holds 10
    bucket.take(4.0, 0.0)
    assert bucket.wait(300.0, 0.0) == pytest.approx(0.4)
    assert bucket.quoted_wait(300.0, 0.0) == pytest.approx(0.4)
    assert bucket.wait(300.0, 0.4) == 0.0
    bucket.take(300.0, 0.4)
    assert bucket.remaining(0.4) == pytest.approx(-290.0)
    assert bucket.wait(1.0, 0.4) == pytest.approx(29.1)
    assert bucket.reset(0.4) == pytest.approx(30.0)


def test_an_empty_start_has_to_fill_first() -> None:
    """A bucket that starts empty is full after its depth; log and counter after a minute."""
    assert TokenBucket(60.0, 0.0, full=False, depth=5.0).reset(0.0) == 5.0
    assert SlidingLog(60.0, 0.0, full=False).wait(1.0, 0.0) == 60.0
    assert FixedWindow(60.0, 0.0, full=False).wait(1.0, 20.0) == 40.0


@pytest.mark.parametrize("make", MAKERS[:4])
def test_what_is_given_back_can_be_spent_again(make: Make) -> None:
    """Giving back never makes more of it than the limit."""
    window = make(60.0, 0.0)
    whole = window.remaining(0.0)
    ticket = window.take(5.0, 0.0)
    window.give(ticket, 3.0, 0.0)
    assert window.remaining(0.0) == whole - 2.0
    window.give(ticket, 2.0, 0.0)
    assert window.remaining(0.0) == whole
    assert window.reset(0.0) in {0.0, 60.0}  # an empty entry of a log still has to expire


def test_what_has_expired_cannot_be_given_back() -> None:
    """A correction that comes after its minute changes nothing."""
    log, fixed = SlidingLog(60.0, 0.0), FixedWindow(60.0, 0.0)
    for window in (log, fixed):
        ticket = window.take(50.0, 0.0)
        window.take(10.0, 61.0)
        window.give(ticket, 50.0, 61.0)
        assert window.remaining(61.0) == 50.0


@pytest.mark.parametrize("make", MAKERS[:4])
def test_a_halved_limit_holds_at_once(make: Make) -> None:
    """What is available is at most what the new limit allows."""
    window = make(60.0, 0.0)
    before = window.remaining(0.0)
    window.resize(30.0, 0.0)
    assert window.limit == 30.0
    assert window.remaining(0.0) == before / 2


def test_a_fixed_window_lets_everything_go_again_at_its_end() -> None:
    """Two minutes' worth may pass within moments around the turn: that is its known flaw."""
    fixed = FixedWindow(60.0, 10.0)
    fixed.take(60.0, 69.0)
    assert fixed.wait(1.0, 69.0) == 1.0
    assert fixed.quoted_wait(1.0, 69.0) == 1.0
    assert fixed.wait(60.0, 70.0) == 0.0
    assert fixed.reset(70.0) == 60.0


def test_a_log_quotes_its_wait_and_resets_with_its_newest_entry() -> None:
    """The wait ends with the oldest entries that are in the way, the reset with the last."""
    log = SlidingLog(60.0, 0.0)
    assert log.reset(0.0) == 0.0
    for now in (0.0, 10.0, 20.0):
        log.take(20.0, now)
    assert log.quoted_wait(30.0, 30.0) == 40.0
    assert log.reset(30.0) == 50.0
