"""The figures of pools, to the digit."""

from __future__ import annotations

import math

from benchmarks.frame.living import Living, used
from benchmarks.sim import pools


def test_a_route_allows_what_it_lives_for() -> None:
    """Its rate, and its bucket once."""
    assert Living(60).allowed(10) == 11
    assert Living(60, (4, math.inf)).allowed(10) == 5
    assert Living(60, (4, 6), burst=0).allowed(10) == 8
    assert used([1.0] * 10 + [20.0], [Living(60, burst=0)], 0) == (11 / 20, 10 / 19)


def test_a_pool_uses_what_its_living_members_allow() -> None:
    """One is spent in the middle and one is down for twenty seconds: nothing is lost or doubled."""
    assert pools.play("both", 0, rows=2_400) == {
        "seconds": 35.571,
        "used": 0.9856,
        "lowest": 0.9769,
        "lost": 0,
        "twice": 0,
        "wasted": 25,
        "is_on_target": True,
    }
