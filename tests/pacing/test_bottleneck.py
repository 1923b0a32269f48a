"""What holds the queue back, in numbers and in words."""

from __future__ import annotations

import pytest

from ratedispatch.pacing.bottleneck import (
    CPU,
    IN_FLIGHT,
    NOTHING,
    PAUSE,
    BottleneckClock,
    CpuMeter,
    bottleneck_of,
    words_for,
)


def test_the_cause_that_held_longest_binds() -> None:
    """Six seconds of nine; what comes after the last request is not counted."""
    clock = BottleneckClock(lambda: [0.0])
    clock.hold("requests", 0)
    clock.hold(IN_FLIGHT, 6)
    clock.hold(NOTHING, 8)
    assert clock.binding(9) == "requests"
    assert clock.totals == {"requests": 6, IN_FLIGHT: 2}


def test_only_the_last_seconds_count() -> None:
    """A cause of long ago does not bind any more."""
    clock = BottleneckClock(lambda: [0.0])
    for second in range(100):
        clock.hold("requests" if second < 50 else PAUSE, second)
    assert clock.binding(100) == PAUSE


def test_what_is_spent_is_a_rate() -> None:
    """Per second over the last 15 seconds, for each limit by its number."""
    spent = [0.0, 0.0]
    clock = BottleneckClock(spent.copy)
    for step in range(300):
        spent[0] += 5 if step < 200 else 10
        clock.hold("requests", step / 10, has_granted=True)
    # what came at 15 s itself is not of the last 15 s any more
    assert clock.per_second(0, 30) == (49 * 5 + 100 * 10) / 15
    assert clock.per_second(1, 30) == 0


def test_the_end_of_the_work_is_no_cause() -> None:
    """After the last request nothing waits any more; before it, that is worth knowing."""
    clock = BottleneckClock(lambda: [0.0])
    clock.hold(NOTHING, 0)
    clock.hold(NOTHING, 4, has_granted=True)
    assert clock.binding(60) == NOTHING
    assert clock.totals == {NOTHING: 4}


def test_a_busy_process_that_waits_for_nothing_is_short_of_cpu() -> None:
    """Unless a limit holds the queue back."""
    assert bottleneck_of(NOTHING, {}, 0.97).binding == CPU
    assert bottleneck_of(NOTHING, {}, 0.5).binding == NOTHING
    assert bottleneck_of(IN_FLIGHT, {}, 0.97).binding == CPU
    assert bottleneck_of(IN_FLIGHT, {}, 0.5).binding == IN_FLIGHT
    assert bottleneck_of("tokens", {"tokens": 0.9}, 0.97).binding == "tokens"


def test_the_share_is_that_of_the_binding_limit() -> None:
    """And it is put into words."""
    found = bottleneck_of("tokens", {"requests": 0.4, "tokens": 0.98}, 0.1)
    assert found.share == 0.98
    assert str(found) == "bound by tokens per minute, 98% of the limit used"
    assert words_for("requests_per_day") == "requests per day"


def test_cpu_is_measured_between_two_readings() -> None:
    """The very first reading has nothing to compare with."""
    times = iter([1.0, 1.5, 3.5])
    meter = CpuMeter(lambda: next(times))
    assert meter.read(10) == 0
    assert meter.read(11) == pytest.approx(0.5)
    assert meter.read(14) == pytest.approx(2.5 / 4)
