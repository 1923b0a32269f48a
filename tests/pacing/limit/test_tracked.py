"""One limit: its bucket, and what answers and refusals make of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ratedispatch.limits import DAY, Limits, Rate, Reading
from ratedispatch.pacing.limit.reading_filter import FilterTuning
from ratedispatch.pacing.limit.tracked import SpendMark, TrackedLimit
from ratedispatch.pacing.limit.tuning import DEFAULT, LimitTuning

# 10 a second, 7 at once; a tenth of a second, or the first amount, goes before the first answer
LIMITS = Limits(600)
RATE = LIMITS.rates()[0]


class Account:
    """Sends one request after another, and answers each with what a provider would say."""

    def __init__(
        self,
        rate: Rate = RATE,
        *,
        amount: float = 1.0,
        limit: float | None = None,
        window: float | None = 60.0,
        tuning: LimitTuning = DEFAULT,
    ) -> None:
        self.tracked = TrackedLimit(rate, LIMITS.burst_of, tuning=tuning)
        self.amount = amount
        self.limit = rate.limit if limit is None else limit
        self.window = window
        self.number = 0

    def mark(self, sent_at: float, *, refused: bool = False, overtaken: float = 0.0) -> SpendMark:
        self.number += 1
        charged, returned, _ = self.tracked.spend(self.amount, sent_at)
        if refused:
            self.tracked.on_uncharged(self.amount, sent_at)
        return SpendMark(
            sent_at, self.number, charged, returned, self.amount, lambda: overtaken, refused
        )

    def read(self, remaining: float | None, mark: SpendMark, now: float) -> float | None:
        reading = Reading(
            "requests", remaining, self.limit, self.window, 60.0 if self.window != DAY else DAY
        )
        return self.tracked.observe(reading, mark, now)

    def prove(self, count: int, *, start: float, remaining: float) -> float:
        """Let *count* requests a second apart fall by what they spend; return the last instant."""
        gained = self.limit / 60 if self.window != DAY else 1
        for step in range(count):
            mark = self.mark(start + step)
            self.read(remaining - step * (self.amount - gained), mark, start + step)
        return start + count - 1


def test_a_tenth_of_a_second_goes_before_the_first_answer() -> None:
    """(now, step, what may be spent then)."""
    tracked = TrackedLimit(RATE, LIMITS.burst_of)
    tracked.start(5.0, 1.0)
    assert tracked.available(5.0) == 1
    assert tracked.wait(1, 5.0, 1.0) == 0
    assert tracked.spend(1, 5.0) == (1, 0, None)
    assert tracked.wait(1, 5.0, 1.0) == 0.1
    tracked.release_opening(5.0, 5.2)
    assert tracked.available(5.2) == 7  # 2 have flowed in, 6 were held back


def test_what_was_held_back_is_let_go_after_half_a_second_without_a_refusal() -> None:
    tracked = TrackedLimit(RATE, LIMITS.burst_of)
    tracked.start(5.0, 1.0)
    tracked.wait(1, 5.0, 1.0)
    tracked.spend(1, 5.0)
    assert tracked.wait(7, 5.25, 1.0) == pytest.approx(0.45)
    assert tracked.wait(7, 5.5, 1.0) == 0


def test_speed_slows_the_minute_but_not_the_day() -> None:
    """(rate, wait for one of an empty bucket at half speed)."""
    daily = Rate("requests", 60, 10, DAY)
    for rate, burst, wait in [(RATE, 7, 0.2), (daily, 10, 1.0)]:
        tracked = TrackedLimit(rate, LIMITS.burst_of)
        assert tracked.is_daily is rate.is_daily
        tracked.start(0.0, 1.0)
        tracked.resume(burst, 0.0)
        tracked.release_opening(0.0, 0.0)
        tracked.spend(burst, 0.0)
        assert tracked.wait(1, 0.0, 0.5) == pytest.approx(wait)


def test_after_a_pause_no_more_than_the_head_of_the_queue_goes_at_once() -> None:
    tracked = TrackedLimit(RATE, LIMITS.burst_of)
    tracked.resume(2, 0.0)
    assert tracked.available(0.0) == 2


@pytest.mark.parametrize(
    ("refunds", "unused", "available"),
    [(True, 3, 6), (True, -2, 1), (False, 3, 3), (False, -2, 3)],
)
def test_what_turns_out_unused_comes_back_where_the_provider_refunds(
    refunds: bool, unused: float, available: float
) -> None:
    tracked = TrackedLimit(RATE, LIMITS.burst_of, refunds=refunds)
    tracked.spend(4, 0.0)
    tracked.settle(4, 4 - unused, 0.0)
    assert tracked.available(0.0) == available
    assert tracked.account.returned == unused


def test_what_was_not_sent_comes_back_always() -> None:
    tracked = TrackedLimit(RATE, LIMITS.burst_of)
    tracked.spend(4, 0.0)
    tracked.refund(4, 0.0)
    assert (tracked.available(0.0), tracked.spent, tracked.given_back) == (7, 0, 4)


@pytest.mark.parametrize(
    ("remaining", "answered_at", "expected"),
    [
        (3, 1.0, 3),
        (3, 1.2, 5),  # it has refilled since
        (3, 2.0, 7),  # up to the burst
        (500, 1.0, 6),  # up only as far as it is proven, and nothing is yet
        (601, 1.0, 6),
        (None, 1.0, 6),
        (0, 1.0, 0),
    ],
)
def test_the_first_reading_lowers_the_level_to_what_is_left(
    remaining: float | None, answered_at: float, expected: float
) -> None:
    account = Account()
    mark = account.mark(1.0)
    account.read(remaining, mark, answered_at)
    assert account.tracked.available(answered_at) == pytest.approx(expected)


def test_nonsense_and_old_news_change_nothing() -> None:
    account = Account()
    first, second = account.mark(1.0), account.mark(1.0)
    account.read(602, second, 1.0)  # more than the limit
    assert account.tracked.available(1.0) == 5
    account.read(4, second, 1.0)
    account.read(1, first, 1.0)
    assert account.tracked.available(1.0) == 4


def test_what_has_piled_up_is_spent_in_steps() -> None:
    """
    Seconds, and what may be spent then: first in debt, then a burst more, then 14, 28, 56, 112.

    Each spends 12 while 10 flow in, or 7 from when the burst is paid back. At last all is spent
    but a twentieth of a second's worth.
    """
    account = Account(amount=12)
    last = account.prove(5, start=0.0, remaining=300)
    assert account.tracked.available(last) == -13
    for step, expected in [(1, -8), (2, 4), (3, 30), (4, 81), (5, 188), (6, 279.5)]:
        mark = account.mark(last + step)
        account.read(292 - 2 * step, mark, last + step)
        assert account.tracked.available(last + step) == expected


def test_what_may_have_been_overtaken_is_not_proven() -> None:
    account = Account(amount=12)
    account.prove(6, start=0.0, remaining=300)
    mark = account.mark(6.0, overtaken=290)
    account.read(288, mark, 6.0)
    assert account.tracked.available(6.0) == 288 - 290 - 0.5


def test_no_minute_uses_more_than_twice_the_limit() -> None:
    """The provider has ten times as much; a second minute's worth goes, and no more."""
    account = Account(Rate("requests", 60, 1), amount=2, limit=600)
    for second in range(200):
        mark = account.mark(float(second))
        account.read(600.0, mark, float(second))
    assert account.tracked.available(199.0) <= 60


@pytest.mark.parametrize(
    ("until", "now", "expected"), [(9.0, 7.0, -7), (9.0, 9.0, 2), (6.0, 9.0, 2)]
)
def test_nothing_that_has_piled_up_goes_before_a_server_is_calm(
    until: float, now: float, expected: float
) -> None:
    account = Account(amount=12)
    account.prove(6, start=0.0, remaining=300)
    account.tracked.drop_surplus_until(until, 5.0)
    mark = account.mark(now)
    account.read(290 + 10 * (now - 5) - 12, mark, now)
    assert account.tracked.available(now) == expected


def test_others_slow_us_down_for_two_seconds() -> None:
    """Each second we spend 20, 10 flow in, and 15 are gone: others take 5, half of the rate."""
    never_full = FilterTuning(memory_requests=1e18, full_share=2.0)
    tuning = LimitTuning(readings=never_full)
    account = Account(amount=20, tuning=tuning)
    for step in range(10):
        mark = account.mark(float(step))
        account.read(141 - 15 * step, mark, float(step))
    tracked = account.tracked
    assert tracked.others == 5
    # 6 are left, less a reserve of 0.04 s, and 5 a second flow in
    tracked.resume(-4, 9.0)
    assert tracked.wait(1, 9.0, 1.0) == 1
    assert tracked.wait(1, 11.0, 1.0) == 0
    tracked.resume(-4, 11.0)
    assert tracked.wait(1, 11.0, 1.0) == 0.5


def test_a_lower_limit_is_put_in_force_once() -> None:
    """The provider says 300 where the user set 600: from the first readings that are believed."""
    account = Account(limit=300.0)
    told = []
    for step in range(7):
        mark = account.mark(float(step))
        told.append(account.read(280.0 - step + 5 * step if step < 2 else 284, mark, float(step)))
    assert [limit for limit in told if limit] == [300]
    assert account.tracked.rate == Rate("requests", 300, 3.5)
    assert (account.tracked.most, account.tracked.is_known) == (600, True)


def test_a_limit_to_be_learned_is_adopted_at_once() -> None:
    account = Account(replace(RATE, is_auto=True), limit=6000.0)
    assert not account.tracked.is_known
    assert account.tracked.used is None
    assert account.tracked.most == math.inf
    mark = account.mark(0.0)
    assert account.read(5999, mark, 0.1) == 6000
    assert account.tracked.rate == Rate("requests", 6000, 70)
    mark = account.mark(0.2)
    assert account.read(5998, mark, 0.3) is None


def test_a_limit_that_nobody_tells_rises_until_a_refusal() -> None:
    """(now, limit per minute in force): from the third silent answer on it doubles in 0.5 s."""
    tracked = TrackedLimit(replace(RATE, is_auto=True), LIMITS.burst_of)
    for _ in range(3):
        tracked.on_silent_answer(0.0, 0.0)
    for now, expected in [(1.0, 600), (1.5, 1200), (2.0, 2400)]:
        tracked.wait(1, now, 1.0)
        assert tracked.rate.per_minute == expected
    tracked.on_refusal(2.0, amount=1, resumes_at=3.0)
    tracked.wait(1, 3.0, 1.0)
    assert tracked.rate.per_minute == 2400
    assert tracked.rate.is_auto


def test_refusals_without_readings_are_all_there_is_to_learn_from() -> None:
    """20 admitted in 4 s: 5 a second; what flows in during the pause is held back."""
    tracked = TrackedLimit(RATE, LIMITS.burst_of)
    mark = SpendMark(0.0, 1, 0.0, 0.0, 1.0, lambda: 0.0, refused=True)
    tracked.spend(1, 0.0)
    tracked.on_uncharged(1, 0.0)
    tracked.observe(None, mark, 0.0)
    tracked.on_refusal(0.0, amount=1, resumes_at=0.5)
    assert tracked.rate.per_minute == 600
    tracked.spend(21, 4.0)
    tracked.on_uncharged(1, 4.0)
    tracked.observe(None, mark, 4.0)
    tracked.on_refusal(4.0, amount=1, resumes_at=4.5)
    assert tracked.rate.per_minute == pytest.approx(300)
    assert tracked.account.refused == 2
    assert tracked._opening.held == pytest.approx(5)
    tracked.release_opening(4.4, 4.4)
    assert tracked._opening.held == pytest.approx(5)
    tracked.release_opening(4.5, 4.6)
    assert tracked._opening.held == 0


def test_refusals_in_spite_of_readings_that_left_room_bring_us_closer() -> None:
    """A hundredth each; the first is within what counts as the same limit."""
    account = Account(amount=12)
    for start, expected in [(0.0, 600), (100.0, 588.06)]:
        last = account.prove(7, start=start, remaining=300)
        account.tracked.on_refusal(last, amount=12, resumes_at=last + 1)
        assert account.tracked.rate.per_minute == pytest.approx(expected, rel=1e-12)


def test_a_refusal_about_the_day_teaches_nothing() -> None:
    tracked = TrackedLimit(Rate("requests", 60, 86_400, DAY), LIMITS.burst_of)
    tracked.spend(1, 0.0)
    tracked.on_refusal(0.0, amount=1, resumes_at=5.0)
    assert tracked.rate.limit == 86_400
    assert tracked.available(0.0) == 86_399


@pytest.mark.parametrize(
    ("limit", "refused", "expected"),
    [
        (86_400.0, False, 86_398),  # a new day has begun
        (86_400.0, True, 79_999),
        (200_000.0, False, 79_999),  # the provider allows more: it is the user's day that counts
    ],
)
def test_a_day_that_begins_again(limit: float, refused: bool, expected: float) -> None:
    account = Account(Rate("requests", 60, 86_400, DAY), limit=limit, window=DAY)
    last = account.prove(9, start=0.0, remaining=limit - 1)
    tracked = account.tracked
    tracked._bucket.lower_to(80_000, last)
    mark = account.mark(last, refused=refused)
    account.read(limit - 2, mark, last)
    assert tracked.available(last) == expected
