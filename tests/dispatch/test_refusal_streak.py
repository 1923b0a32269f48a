"""A server that refuses everything for its rate is given up after a quarter of an hour."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.sim.limiters import Outage, run_limited
from ratedispatch.dispatch.refusal_streak import RefusalStreak
from ratedispatch.limits import Limits

NUMBERED, UNTOLD = Limits(3000), Limits()
ALL = Outage(0, math.inf)


@pytest.mark.parametrize(
    ("rows", "limits", "headers", "requests", "seconds"),
    [
        (1, NUMBERED, {}, 62, 911.4),
        (200, NUMBERED, {}, 98, 923.2),
        (200, UNTOLD, {}, 102, 922.8),
        (200, NUMBERED, {"retry-after": "1"}, 98, 927.3),
        (200, NUMBERED, {"retry-after": "20"}, 98, 947.9),
        (1, NUMBERED, {"retry-after": "3600"}, 59, 4511.5),
    ],
)
def test_a_server_that_only_refuses_stops_the_job_resumably(
    rows: int, limits: Limits, headers: dict[str, str], requests: int, seconds: float
) -> None:
    """In its own words, and no row is written off; what it advises is waited for besides, once."""
    run = run_limited(ALL, limits, rows=rows, headers=headers, until=30_000)
    assert run.stop is not None
    assert (run.stop.code, run.answered, run.failed) == ("refused", [], {})
    assert (run.refused, round(run.seconds, 1)) == (requests, seconds)
    assert '"Refused"' in str(run.stop)


def test_refusals_begin_anew_with_each_answer() -> None:
    """Ten minutes, and ten more after a minute in which all is well."""

    class Twice(Outage):
        def admit(self, row: int, now: float, in_flight: int) -> bool:
            return not (10 <= now < 610 or 670 <= now < 1270)

    run = run_limited(Twice(0, 0), Limits(60), rows=100)
    assert (len(run.answered), run.failed, run.stop) == (100, {}, None)


def test_what_is_on_its_way_is_waited_for() -> None:
    """The first request takes 20 minutes to be answered; all others are refused meanwhile."""

    class First(Outage):
        def admit(self, row: int, now: float, in_flight: int) -> bool:
            return row == 0 or now > 1200

    options: dict[str, Any] = {"timeout": 2000.0}
    run = run_limited(First(0, 0), NUMBERED, rows=20, latency=1300.0, options=options, until=9000)
    assert (len(run.answered), run.failed, run.stop) == (20, {}, None)


def test_a_job_that_tolerates_failures_goes_on() -> None:
    run = run_limited(ALL, NUMBERED, rows=3, options={"tolerate_failures": True}, until=20_000)
    assert (run.stop, run.failed) == (None, {0: "429", 1: "429", 2: "429"})


def test_time_in_which_nothing_was_asked_does_not_count() -> None:
    """A source that brings a request an hour, each of which is refused."""
    streak = RefusalStreak(900.0)
    assert [streak.refused(hour * 3600.0, 0, 0.0) for hour in range(5)] == [None] * 5
    assert [streak.refused(18_000.0 + at, 0, 0.0) for at in (0, 500, 901)] == [None, None, 901.0]
