"""How long an attempt may take."""

from __future__ import annotations

from ratedispatch.dispatch.timeout import AdaptiveTimeout


def learned(slowest: float, count: int = 100) -> AdaptiveTimeout:
    timeout = AdaptiveTimeout()
    for _ in range(count - 1):
        timeout.record(0.1)
    timeout.record(slowest)
    return timeout


def test_the_sdks_ten_minutes_until_enough_is_known() -> None:
    """Nineteen answers prove nothing yet, twenty a little."""
    assert AdaptiveTimeout().allowed() == 600
    assert learned(0.2, count=19).allowed() == 600
    assert learned(0.2, count=20).allowed() == 180


def test_then_ten_times_the_slowest_within_a_minute_and_ten() -> None:
    """Never below a minute, never above the SDK's ten."""
    assert learned(0.2).allowed() == 60
    assert learned(12).allowed() == 120
    assert learned(100).allowed() == 600


def test_each_timeout_doubles_what_the_next_attempt_is_given() -> None:
    """A request that really is slower is not cut off at the same point again."""
    assert [learned(0.2).allowed(timeouts) for timeouts in (0, 1, 2, 5)] == [60, 120, 240, 600]


def test_a_timeout_that_is_given_is_kept() -> None:
    """Nothing is learned from 200 slow answers."""
    timeout = AdaptiveTimeout(7)
    assert not any(timeout.record(50) for _ in range(200))
    assert timeout.allowed(3) == 7


def test_it_tells_when_its_bound_has_moved() -> None:
    """At the hundredth answer, and whenever one is so slow that it matters."""
    timeout = learned(0.2, count=99)
    assert timeout.record(0.1)
    assert not timeout.record(5.0)
    assert timeout.record(9.0)
    assert not timeout.record(8.0)
