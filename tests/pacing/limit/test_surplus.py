"""How much of what has piled up may be spent at once."""

from __future__ import annotations

import math

import pytest

from ratedispatch.pacing.limit.surplus import Surplus, SurplusTuning


def test_each_step_is_twice_the_last() -> None:
    """(now, step after it)."""
    surplus = Surplus(10)
    assert surplus.step == 10
    for now, step in [(1.0, 20), (1.2, 40), (1.7, 80), (2.1, 160)]:
        surplus.advance(now)
        assert surplus.step == step
        assert (surplus.last, surplus.quiet_at) == (now, now + 0.5)


def test_it_can_start_again() -> None:
    surplus = Surplus(10)
    surplus.advance(1)
    surplus.restart(5, not_before=7)
    assert (surplus.step, surplus.not_before, surplus.last) == (5, 7, -math.inf)
    surplus.restart(6, last=3)
    assert (surplus.step, surplus.not_before, surplus.quiet_at) == (6, 0, 3.5)
    surplus.advance(3.4)
    assert surplus.step == 12


def test_distrust_lasts_twice_as_long_each_time() -> None:
    surplus = Surplus(10)
    for now, until in [(5, 65), (100, 220), (300, 540)]:
        surplus.distrust(now)
        assert surplus.not_before == until


@pytest.mark.parametrize(
    "rows",
    [
        # (now, spent less returned, allowance) of a limit of 60 per minute
        [(0, 0, 60), (10, 30, 40), (20, 80, 0), (30, 80, 10)],
        [(5, 20, 60)],  # what went before the first look is not held against it
        [(0, 0, 60), (100, 0, 60), (100, 20, 40)],  # a minute deep
        [(0, 0, 60), (0, 90, -30), (10, 60, 10)],  # and what turned out unused comes back
    ],
)
def test_the_allowance_is_a_bucket_of_the_users_own(rows: list[tuple[float, float, float]]) -> None:
    surplus = Surplus(10)
    for now, net, expected in rows:
        assert surplus.allowance(now, limit=60, net=net) == expected


def test_its_constants_can_be_tuned() -> None:
    surplus = Surplus(10, SurplusTuning(quiet_seconds=2, step_factor=3, distrust_seconds=1))
    surplus.advance(1)
    surplus.distrust(4)
    assert (surplus.step, surplus.quiet_at, surplus.not_before) == (30, 3, 5)
