"""What holds the line back, in numbers and in words."""

from __future__ import annotations

import pytest

from ratedispatch.pacing.bottleneck import (
    CPU,
    IN_FLIGHT,
    NOTHING,
    PAUSE,
    Books,
    CpuMeter,
    judge,
    words_for,
)


def test_the_cause_that_held_longest_binds() -> None:
    books = Books(lambda: [0.0])
    books.hold("requests", 0)
    books.hold(IN_FLIGHT, 6)
    books.hold(NOTHING, 8)
    assert books.binding(9) == "requests"
    assert books.totals == {"requests": 6, IN_FLIGHT: 2}


def test_only_the_last_seconds_count() -> None:
    books = Books(lambda: [0.0])
    for second in range(100):
        books.hold("requests" if second < 50 else PAUSE, second)
    assert books.binding(100) == PAUSE


def test_what_is_spent_is_a_rate() -> None:
    spent = [0.0, 0.0]
    books = Books(spent.copy)
    for step in range(300):
        spent[0] += 5 if step < 200 else 10
        books.hold("requests", step / 10, has_granted=True)
    assert books.per_second(0, 30) == pytest.approx((50 * 5 + 100 * 10) / 15, rel=0.05)
    assert books.per_second(1, 30) == 0


def test_the_end_of_the_work_is_no_cause() -> None:
    """After the last request nothing waits any more; before it, that is worth knowing."""
    books = Books(lambda: [0.0])
    books.hold(NOTHING, 0)
    books.hold(NOTHING, 4, has_granted=True)
    assert books.binding(60) == NOTHING
    assert books.totals == {NOTHING: 4}


def test_a_busy_process_that_waits_for_nothing_is_short_of_cpu() -> None:
    assert judge(NOTHING, {}, 0.97).binding == CPU
    assert judge(NOTHING, {}, 0.5).binding == NOTHING
    assert judge(IN_FLIGHT, {}, 0.97).binding == CPU
    assert judge(IN_FLIGHT, {}, 0.5).binding == IN_FLIGHT
    assert judge("tokens", {"tokens": 0.9}, 0.97).binding == "tokens"


def test_the_share_is_that_of_the_binding_limit() -> None:
    verdict = judge("tokens", {"requests": 0.4, "tokens": 0.98}, 0.1)
    assert verdict.share == 0.98
    assert str(verdict) == "bound by tokens per minute, 98% of the limit used"
    assert words_for("requests_per_day") == "requests per day"


def test_cpu_is_measured_between_two_readings() -> None:
    times = iter([1.0, 1.5, 3.5])
    meter = CpuMeter(lambda: next(times))
    assert meter.read(10) == 0
    assert meter.read(11) == pytest.approx(0.5)
    assert meter.read(14) == pytest.approx(2.5 / 4)
