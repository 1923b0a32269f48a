"""
Limiters that refuse at once and give no numbers, and what their refusals are about.

Every figure is that of a run in virtual time, to the millisecond.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from benchmarks.sim.limiters import (
    AtOnce,
    Both,
    Chance,
    Leaky,
    Limited,
    Outage,
    Poison,
    Weighed,
    Window,
    run_limited,
)
from ratedispatch.limits import Limits

NUMBERED, AUTO, UNTOLD = Limits(600), Limits("auto"), Limits()


def came_to(run: Limited) -> tuple[int, int, float]:
    """Return rows that were answered, requests that were refused, and the last answer's second."""
    return len(run.answered), run.refused, round(run.last_answer, 3)


@pytest.mark.parametrize(
    ("row", "refused", "last_answer", "seconds"),
    [(0, 6, 5.501, 10.385), (30, 7, 5.551, 12.035), (119, 13, 5.301, 132.374)],
)
def test_a_row_that_is_always_refused_holds_nobody_up(
    row: int, refused: int, last_answer: float, seconds: float
) -> None:
    """119 others take 6 s at 20 a second; the one is given up, at the latest after two minutes."""
    run = run_limited(Poison({row}), Limits(1200), rows=120, latency=0.05)
    assert sorted(run.answered) == [number for number in range(120) if number != row]
    assert run.failed == {row: "429"}
    assert came_to(run) == (119, refused, last_answer)
    assert round(run.seconds, 3) == seconds


@pytest.mark.parametrize(
    ("rows", "refused", "last_answer"),
    [({0}, 7, 27.187), ({30}, 6, 5.351), ({119}, 12, 5.301), ({30, 31, 70}, 18, 5.351)],
)
def test_what_one_row_is_told_to_wait_is_not_for_the_others(
    rows: set[int], refused: int, last_answer: float
) -> None:
    """
    20 s each time, of 6 s of work.

    All wait once if the very first row gets it: nobody was answered before.
    """
    told = {"retry-after": "20"}
    run = run_limited(Poison(rows), Limits(1200), rows=120, latency=0.05, headers=told)
    assert run.failed == dict.fromkeys(sorted(rows), "429")
    assert came_to(run) == (120 - len(rows), refused, last_answer)


def test_what_a_few_rows_are_told_to_wait_at_any_speed_slows_nobody_down() -> None:
    """2 %, 1,500 rows at 50 a second: 29.2 s, and the last ones wait for what they were told."""
    chance = Chance(0.02, random.Random(4))
    run = run_limited(chance, Limits(3000), rows=1500, seed=4, headers={"retry-after": "20"})
    assert came_to(run) == (1500, 28, 48.324)


@pytest.mark.parametrize(
    ("limits", "refused", "last_answer"),
    [(Limits(60), 2, 601.201), (Limits("auto", "auto"), 226, 562.516), (Limits(), 247, 562.625)],
    ids=["told", "auto", "none"],
)
def test_a_window_of_a_minute_fails_no_row(
    limits: Limits, refused: int, last_answer: float
) -> None:
    """
    Sixty in any 60 s, which takes 540 s, and no advice.

    Of what is refused at the end of a window others are answered in the next one; that is no sign
    that it was refused alone.
    """
    run = run_limited(Window(60, 60), limits, rows=600)
    assert run.failed == {}
    assert came_to(run) == (600, refused, last_answer)


@pytest.mark.parametrize(
    ("advice", "refused", "last_answer"), [("5", 45, 140.906), ("20", 17, 181.102)]
)
def test_what_the_line_is_told_to_wait_is_waited_for(
    advice: str, refused: int, last_answer: float
) -> None:
    """A hundred in any 60 s, of 300 rows at ten a second; believed once several in a row get it."""
    run = run_limited(Window(100, 60), Limits(600), headers={"retry-after": advice})
    assert run.failed == {}
    assert came_to(run) == (300, refused, last_answer)


@pytest.mark.parametrize(
    ("limits", "told", "refused", "last_answer"),
    [
        (Limits(3000), {}, 35, 31.784),
        (Limits(3000), {"retry-after": "1"}, 33, 31.767),
        (Limits(3000), {"retry-after": "20"}, 33, 72.335),
        (AUTO, {"retry-after": "1"}, 33, 29.4),
    ],
)
def test_an_outage_among_a_few_429_leaves_no_rate_behind(
    limits: Limits, told: dict[str, str], refused: int, last_answer: float
) -> None:
    """
    A second of 30, at 2 % before and after.

    Of 20 s of advice the line obeys one, and the last row waits as long again.
    """
    limiter = Both(Outage(0.7, 1.7), Chance(0.02, random.Random(4)))
    run = run_limited(limiter, limits, rows=1500, seed=4, headers=told)
    assert came_to(run) == (1500, refused, last_answer)


def test_several_such_rows_are_told_from_a_line() -> None:
    """Each is refused beside the others that are, and still none is taken for the line."""
    run = run_limited(Poison({30, 31, 70}), Limits(1200), rows=120, latency=0.05)
    assert run.failed == {30: "429", 31: "429", 70: "429"}
    assert run.refusals_of == {30: 7, 31: 6, 70: 6}
    assert came_to(run) == (117, 19, 5.801)
    assert round(run.seconds, 3) == 15.489


@pytest.mark.parametrize(
    ("status", "limits", "refused", "last_answer"),
    [
        (429, NUMBERED, 3, 29.801),
        (429, AUTO, 12, 29.779),
        (429, UNTOLD, 11, 30.54),
        (503, NUMBERED, 3, 29.801),
        (503, AUTO, 19, 29.996),
        (503, UNTOLD, 24, 30.448),
    ],
)
def test_a_rate_is_kept_whatever_is_told_of_it(
    status: int, limits: Limits, refused: int, last_answer: float
) -> None:
    """Ten a second and five beside it, an HTML page for the rest: 29.5 s for 300 rows."""
    run = run_limited(Leaky(10, 5), limits, status=status)
    assert came_to(run) == (300, refused, last_answer)


def test_a_rate_without_a_burst_is_found() -> None:
    """
    Ten a second, a tenth of a second apart, as nginx without `burst` has it: 29.9 s for 300 rows.

    A request that comes two milliseconds early is refused.
    """
    rng = random.Random(1)
    run = run_limited(Leaky(10, 1), AUTO, travel=lambda: 0.002 * rng.random())
    assert came_to(run) == (300, 7, 34.059)


@pytest.mark.parametrize(
    ("limits", "refused", "last_answer"),
    [(NUMBERED, 11, 31.725), (AUTO, 24, 31.228), (UNTOLD, 117, 40.678)],
)
def test_a_rate_of_periods_is_found(limits: Limits, refused: int, last_answer: float) -> None:
    """
    A hundred in ten seconds, refusals counted: 300 rows take about 30 s.

    Where the rate is a guess, what piles up in a pause is one as well, and does not burst.
    """
    run = run_limited(Weighed(100, 10), limits)
    assert came_to(run) == (300, refused, last_answer)


@pytest.mark.parametrize("body", [None, {"error": {"message": "Too many at once", "code": "1"}}])
@pytest.mark.parametrize(
    ("limits", "refused", "last_answer"), [(Limits(3000), 2, 17.039), (UNTOLD, 5, 18.067)]
)
def test_a_limit_on_the_number_in_flight_is_found(
    limits: Limits, refused: int, last_answer: float, body: object
) -> None:
    """Five at once, and advice to wait 5 s that is for one row: 12 s for 120 rows, and 5 s."""
    server: dict[str, Any] = {"headers": {"retry-after": "5"}, "body": body, "latency": 0.5}
    run = run_limited(AtOnce(5), limits, rows=120, **server)
    assert came_to(run) == (120, refused, last_answer)


def test_nothing_is_slowed_down_where_nothing_is_refused() -> None:
    """Without limits and refusals: as fast as the number in flight rises."""
    run = run_limited(Chance(0.0), UNTOLD, rows=1500)
    assert came_to(run) == (1500, 0, 2.01)


def test_a_few_503_at_any_speed_slow_nobody_down() -> None:
    """2 %, with the 1,500 rows at 50 a second that are bound by 29.2 s, and the last row's wait."""
    run = run_limited(Chance(0.02), Limits(3000), rows=1500, status=503)
    assert came_to(run) == (1500, 36, 30.221)


@pytest.mark.parametrize(
    ("limits", "rows", "refused", "last_answer"),
    [
        (Limits(3000), 1500, 28, 30.061),
        (Limits(6000), 600, 11, 5.611),
        (AUTO, 1500, 28, 4.626),
        (UNTOLD, 1500, 28, 2.091),
    ],
    ids=str,
)
def test_a_few_429_at_any_speed_slow_nobody_down(
    limits: Limits, rows: int, refused: int, last_answer: float
) -> None:
    """2 % bare ones: 29.5, 5.5, 4.6 and 2 s without, and the last one's own wait."""
    run = run_limited(Chance(0.02, random.Random(4)), limits, rows=rows, seed=4)
    assert came_to(run) == (rows, refused, last_answer)


@pytest.mark.parametrize(
    ("status", "refused", "last_answer"), [(429, 29, 140.69), (503, 27, 142.994)]
)
def test_an_outage_of_a_minute_fails_no_row(status: int, refused: int, last_answer: float) -> None:
    """Everything is refused from 8 to 68 s, of 140 s: a few requests meet it, of 4,000."""
    run = run_limited(Outage(8, 68), Limits(3000), rows=4000, status=status)
    assert came_to(run) == (4000, refused, last_answer)
