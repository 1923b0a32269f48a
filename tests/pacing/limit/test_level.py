"""The level of one bucket, corrected by what answers say is left."""

from __future__ import annotations

import pytest

from ratedispatch.limits import Rate, Reading
from ratedispatch.pacing.bucket import Bucket
from ratedispatch.pacing.limit.account import Account, SpendMark
from ratedispatch.pacing.limit.level import (
    LevelTracker,
    SharingTuning,
    pace_from,
    surplus_from,
)
from ratedispatch.pacing.limit.limit_source import LimitSource
from ratedispatch.pacing.limit.limit_state import LimitState
from ratedispatch.pacing.limit.tuning import DEFAULT

RATE = Rate("requests", 60, 10)  # one a second, ten at once


def mark(sent_at: float, number: int, charged: float, *, refused: bool = False) -> SpendMark:
    return SpendMark(sent_at, number, charged, 0.0, 1.0, lambda: 0.0, refused)


@pytest.mark.parametrize(
    ("others", "pace"),
    [(0, 1), (0.5, 1), (0.51, 0.949), (4, 0.6), (9.5, 0.05), (20, 0.05)],
)
def test_the_pace_is_what_others_leave(others: float, pace: float) -> None:
    """Of ten a second: up to a twentieth is not noticed, and a twentieth is always left."""
    assert pace_from(others, 10, SharingTuning()) == pytest.approx(pace)


def test_a_proven_surplus_counts_no_refill_and_all_that_may_have_gone() -> None:
    """60 left two seconds ago; 10 sent since, 5 overtook, 3 kept, others took 4 a second."""
    assert surplus_from(60, 2, 4, 10, 5, 3) == 34


@pytest.mark.parametrize(
    ("remaining", "sent_at", "spent_since", "available"),
    [
        (4, 100, 0, 4),  # a fresh reading counts as it is
        (4, 97, 0, 7),  # three seconds old: three have flowed in since
        (4, 97, 2, 5),  # of which two are spent
        (0, 100, 3, 0),  # never into debt by a reading
        (50, 100, 0, 10),  # and never up by the first of them
    ],
)
def test_a_reading_lowers_the_level(
    remaining: float, sent_at: float, spent_since: float, available: float
) -> None:
    """At once, to the best estimate of what is left by now."""
    bucket, account = Bucket(RATE), Account()
    source = LimitSource(RATE, lambda _: 10.0, DEFAULT.source)
    tracker = LevelTracker(bucket, account, source, refunds=False, tuning=DEFAULT)
    account.spend(1, sent_at, 1.0)
    for _ in range(int(spent_since)):
        account.spend(1, 100, 1.0)
    tracker.correct(
        Reading("requests", limit=60, remaining=remaining), remaining, mark(sent_at, 1, 1), 100
    )
    assert bucket.available(100) == pytest.approx(available)
    assert tracker.pace == 1.0


def test_a_refusal_is_held_against_the_readings_only_once_they_are_known() -> None:
    """Before, it says nothing of them; the surplus starts again in any case."""
    source = LimitSource(RATE, lambda _: 10.0, DEFAULT.source)
    tracker = LevelTracker(Bucket(RATE), Account(), source, refunds=False, tuning=DEFAULT)
    assert not tracker.on_refusal(1, 5)
    assert (tracker.surplus.step, tracker.surplus.last) == (10, 5)


def test_a_limit_tells_how_it_stands() -> None:
    """Before anything went, and after a request of two that was not sent."""
    state = LimitState(RATE, lambda _: 10.0)
    assert (state.dimension, state.rate, state.is_known, state.is_daily) == (
        "requests",
        RATE,
        True,
        False,
    )
    assert (state.spent, state.given_back, state.used, state.others) == (0, 0, None, 0)
    assert state.available(0) == 10
    state.account.spend(2, 0, 1)
    state.account.refund(2)
    assert (state.spent, state.given_back) == (0, 2)


def test_a_limit_of_a_day_stays_one() -> None:
    state = LimitState(Rate("requests_per_day", 1, 1440, window=86_400), lambda _: 10.0)
    assert state.is_daily
    assert state.most == 1440
