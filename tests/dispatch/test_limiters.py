"""Limiters that refuse at once and give no numbers, and what their refusals are about."""

from __future__ import annotations

from typing import Any

import pytest

from ratedispatch.limits import Limits
from tests.dispatch.limiters import (
    AtOnce,
    Chance,
    Leaky,
    Outage,
    Poison,
    Weighed,
    run_limited,
)


@pytest.mark.parametrize("row", [0, 30, 119])
def test_a_row_that_is_always_refused_holds_nobody_up(row: int) -> None:
    """119 others take 6 s at 20 a second; the one is given up, at the latest after two minutes."""
    run = run_limited(Poison({row}), Limits(1200), rows=120, latency=0.05)
    assert sorted(run.answered) == [number for number in range(120) if number != row]
    assert run.failed == {row: "429"}
    assert run.last_answer < 7
    assert run.refused <= 9
    assert run.seconds < 130


def test_several_such_rows_are_told_from_a_line() -> None:
    """Each is refused beside the others that are, and still none is taken for the line."""
    run = run_limited(Poison({30, 31, 70}), Limits(1200), rows=120, latency=0.05)
    assert len(run.answered) == 117
    assert set(run.failed) == {30, 31, 70}
    assert run.refused <= 20
    assert run.seconds < 30


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("limits", [Limits(600), Limits("auto"), Limits()], ids=str)
def test_a_rate_is_kept_whatever_is_told_of_it(limits: Limits, status: int) -> None:
    """Ten a second and five beside it, an HTML page for the rest: 29.5 s for 300 rows."""
    run = run_limited(Leaky(10, 5), limits, status=status)
    assert len(run.answered) == 300
    assert run.last_answer < 1.15 * 29.5
    assert run.refused <= 30


@pytest.mark.parametrize("limits", [Limits(600), Limits("auto"), Limits()], ids=str)
def test_a_rate_of_periods_is_found(limits: Limits) -> None:
    """A hundred in ten seconds, refusals counted: after the first hundred nothing for long."""
    run = run_limited(Weighed(100, 10), limits)
    assert len(run.answered) == 300
    assert run.last_answer < 2 * 30


def test_a_rate_that_is_only_a_guess_lets_nothing_burst_after_a_pause() -> None:
    """What would have piled up meanwhile is a guess as well: 27 of 327 are refused, not 113."""
    run = run_limited(Weighed(100, 10), Limits("auto"))
    assert len(run.answered) == 300
    assert run.refused == 27
    assert run.last_answer == pytest.approx(31.7, abs=0.05)


@pytest.mark.parametrize("body", [None, {"error": {"message": "Too many at once", "code": "1"}}])
@pytest.mark.parametrize("limits", [Limits(3000), Limits()], ids=str)
def test_a_limit_on_the_number_in_flight_is_found(limits: Limits, body: object) -> None:
    """Five at once, and advice to wait 5 s, which is for a row: 12 s for 120 rows."""
    server: dict[str, Any] = {"headers": {"retry-after": "5"}, "body": body, "latency": 0.5}
    run = run_limited(AtOnce(5), limits, rows=120, **server)
    assert len(run.answered) == 120
    assert run.last_answer < 2 * 12
    assert run.refused <= 10


def test_nothing_is_slowed_down_where_nothing_is_refused() -> None:
    """Without limits and refusals: as fast as the number in flight rises."""
    run = run_limited(Chance(0.0), Limits(), rows=1500)
    assert run.last_answer < 4


def test_a_few_503_at_any_speed_slow_nobody_down() -> None:
    """2 %, with the 1,500 rows at 50 a second that are bound by 29 s."""
    run = run_limited(Chance(0.02), Limits(3000), rows=1500, status=503)
    assert len(run.answered) == 1500
    assert run.last_answer == pytest.approx(30.2, abs=0.1)  # 29.2, and the last row's own wait


@pytest.mark.parametrize(
    ("limits", "most"), [(Limits(3000), 40), (Limits("auto"), 37), (Limits(), 21)], ids=str
)
def test_a_few_429_at_any_speed_are_found_to_be_about_no_rate(limits: Limits, most: float) -> None:
    """2 % bare ones: slowed down for at first, until two come at a speed that was well borne."""
    run = run_limited(Chance(0.02), limits, rows=1500)
    assert len(run.answered) == 1500
    assert run.refused == 36
    assert run.last_answer < most


@pytest.mark.parametrize("status", [429, 503])
def test_an_outage_of_a_minute_fails_no_row(status: int) -> None:
    """Everything is refused from 8 to 68 s: some thirty requests meet it, of 4,000."""
    run = run_limited(Outage(8, 68), Limits(3000), rows=4000, status=status)
    assert len(run.answered) == 4000
    assert run.refused <= 30
    assert run.last_answer < 1.11 * 140
