"""Where a limit comes from: the user, the provider, a guess, or refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ratedispatch.limits import DAY, Rate, Reading
from ratedispatch.pacing.limit.account import SpendMark
from ratedispatch.pacing.limit.limit_source import LimitSource, SourceTuning
from ratedispatch.pacing.limit.reading_filter import ReadingFilter

TOKENS = Rate("tokens", 6000, 70)
AUTO = replace(TOKENS, is_auto=True)
DAILY = Rate("tokens", 60, 86_400, DAY)
MARK = SpendMark(5.0, 1, 100.0, 0.0, 100.0, lambda: 0.0)
REFUSED = MARK._replace(refused=True)


def source_of(rate: Rate, tuning: SourceTuning | None = None) -> LimitSource:
    return LimitSource(rate, lambda limit: limit / 60, tuning or SourceTuning())


def filter_of(ratio: float | None, seen: int = 20) -> ReadingFilter:
    """Return a filter that has concluded *ratio* of what it has seen."""
    readings = ReadingFilter()
    readings.seen, readings.ratio = seen, ratio
    if ratio is not None:
        readings.is_correlated = ratio >= 0.5
        readings.unit_ratio = 1.0 if ratio >= 0.5 else ratio
    return readings


@pytest.mark.parametrize(
    ("rate", "limit", "window", "ratio", "is_adopted", "expected"),
    [
        # the user's: a lower one once the readings are correlated, a higher one changes nothing
        (TOKENS, 3000, 60, 1.0, True, 3000),
        (TOKENS, 9000, 60, 1.0, True, 6000),
        (TOKENS, 3000, None, 1.0, True, 3000),
        (TOKENS, 3000, 60, None, False, 6000),
        (TOKENS, None, 60, 1.0, False, 6000),
        # of another window, or of nobody
        (TOKENS, 3000, DAY, 1.0, False, 6000),
        (TOKENS, 0.5, 60, 1.0, False, 6000),
        (TOKENS, 2e12, 60, 1.0, False, 6000),
        # counted in another unit: only if it is clearly lower than the user's
        (TOKENS, 900, 60, 0.25, True, 3600),
        (TOKENS, 1250, 60, 0.25, False, 6000),
        (replace(TOKENS, dimension="requests"), 900, 60, 0.25, False, 6000),
        # to be learned: at once, of a bucket known to be a minute's
        (AUTO, 3000, 60, None, True, 3000),
        (AUTO, 9000, 60, None, True, 9000),
        (AUTO, 9000, None, None, True, 9000),
        (AUTO, 9000, 600, None, False, 6000),
        # of a day
        (DAILY, 43_200, DAY, 1.0, True, 30),
        (DAILY, 43_200, 60, 1.0, False, 60),
    ],
)
def test_adopting_what_the_provider_says(
    rate: Rate,
    limit: float | None,
    window: float | None,
    ratio: float | None,
    is_adopted: bool,
    expected: float,
) -> None:
    """(reading, ratio of the readings, limit per minute)."""
    source = source_of(rate)
    reading = Reading("tokens", 10, limit, window)
    assert source.adopt(reading, MARK, filter_of(ratio)) is is_adopted
    assert source.limit(5.0) == expected
    if is_adopted and ratio != 0.25:
        assert source.adopted == (limit, 60)
    else:  # nothing, or not as it stands
        assert math.isnan(source.adopted[0])


def test_what_is_known() -> None:
    """(source, is known, most of one request, whether it moves by itself)."""
    learned = source_of(AUTO)
    learned.adopt(Reading("tokens", 10, 3000, 60), MARK, filter_of(None))
    rows = [
        (source_of(TOKENS), True, 6000, False),
        (source_of(DAILY), True, 86_400, False),
        (source_of(AUTO), False, math.inf, True),
        (learned, True, 3000, False),
    ]
    for source, is_known, most, is_moving in rows:
        assert (source.is_known, source.most, source.is_moving) == (is_known, most, is_moving)


def test_a_guess_doubles_after_three_silent_answers_until_a_refusal() -> None:
    """(now, limit per minute): it doubles every half second."""
    source = source_of(AUTO)
    source.silent_answers = 2
    source.advance(9.0)
    assert source.limit(99.0) == 6000
    source.silent_answers = 3
    source.advance(10.0)
    for now, limit in [(10.0, 6000), (10.5, 12_000), (11.0, 24_000), (1e9, 6000 * 2.0**40)]:
        assert source.limit(now) == limit
    source.on_refusal(400.0, 12.0)
    assert source.limit(12.0) == 24_000  # what was in force when it was refused
    assert source.is_moving


def test_a_limit_that_only_a_refusal_names_is_searched_from_there_and_may_be_lifted() -> None:
    source = source_of(TOKENS)
    named = Reading("tokens", None, 3000)
    assert source.adopt(named, REFUSED, filter_of(None, seen=0))
    assert (source.is_named, source.is_moving, source.told) == (True, True, None)
    assert source.limit(5.0) == 3000
    moves = []
    for now in (5.0, 5.0 + 100):  # it has doubled by then
        source.advance(now)
        moves.append(source.is_moving)
    assert moves == [True, False]
    assert source.limit(105.0) == 6000


def test_a_limit_to_be_learned_is_told_by_a_refusal_that_names_it() -> None:
    source = source_of(AUTO)
    assert source.adopt(Reading("tokens", None, 3000), REFUSED, filter_of(None, seen=0))
    assert (source.is_named, source.told, source.limit(5.0)) == (True, 3000, 3000)


def test_refusals_without_readings_are_searched() -> None:
    """100 admitted in 4 s: 25 a second."""
    source = source_of(TOKENS)
    assert not source.search(10.0, amount=1, admitted=500, resumes_at=10.5)
    assert source.search(14.0, amount=1, admitted=600, resumes_at=14.5)
    assert source.is_moving
    assert source.limit(14.5) == 25 * 60


def test_it_comes_closer_by_a_hundredth_each_and_by_a_twentieth_at_most() -> None:
    source = source_of(TOKENS)
    limits = []
    for _ in range(7):
        source.come_closer()
        limits.append(source.limit(0))
    assert limits == pytest.approx([5940, 5880.6, 5821.794, 5763.57606, 5705.9402994, 5700, 5700])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (3000, Rate("tokens", 3000, 50)),
        (5941, None),  # less than a hundredth is no news
        (5939, Rate("tokens", 5939, 5939 / 60)),
        (30, Rate("tokens", 30, 1)),  # one request always fits
    ],
)
def test_only_news_is_put_in_force(told: float, expected: Rate | None) -> None:
    source = source_of(TOKENS)
    source.adopt(Reading("tokens", 10, told, 60), MARK, filter_of(1.0))
    assert source.new_rate(TOKENS, 0) == expected


def test_a_limit_that_is_told_as_it_was_guessed_is_news() -> None:
    source = source_of(AUTO)
    assert source.new_rate(AUTO, 0) is None
    source.adopt(Reading("tokens", 10, 6000, 60), MARK, filter_of(None))
    assert source.new_rate(AUTO, 0) == Rate("tokens", 6000, 100)


def test_of_a_day_the_whole_budget_may_go_at_once() -> None:
    source = source_of(DAILY)
    source.adopt(Reading("tokens", 10, 43_200, DAY), MARK, filter_of(1.0))
    assert source.new_rate(DAILY, 0) == Rate("tokens", 30, 43_200, DAY)


def test_whether_another_limit_was_told_before() -> None:
    source = source_of(TOKENS)
    assert not source.differs(3000)
    source.adopt(Reading("tokens", 10, 3000, 60), MARK, filter_of(1.0))
    for before, differs in [(None, False), (3000.0, False), (3020.0, False), (3040.0, True)]:
        assert source.differs(before) is differs


def test_whether_the_day_of_the_provider_is_the_users() -> None:
    source = source_of(DAILY)
    for limit, is_within in [(86_400, True), (87_000, True), (90_000, False), (43_200, True)]:
        assert source.is_within(limit, DAY) is is_within
