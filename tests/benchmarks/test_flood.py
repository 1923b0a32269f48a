"""Many calls at once: each has its end, and nothing is left of them."""

from __future__ import annotations

from benchmarks.micro import flood
from ratedispatch.testing import run_virtual


def test_every_call_has_its_end_and_nothing_is_left() -> None:
    """Of a thousand calls one in ten is cancelled, and one in ten misses its deadline."""
    before = flood.alive()
    found = run_virtual(flood.flood(1_000, 0))
    assert found["ends"] == {"answered": 800, "cancelled": 100, "deadline_missed": 100}
    assert found["left"] == {"open": 0, "waiting": 0, "in_flight": 0}
    assert flood.alive() == before


def test_what_is_left_misses_the_target() -> None:
    figures = dict.fromkeys(flood._FIGURES, 1.0)
    clean = {"open": 0, "waiting": 0, "in_flight": 0, "objects": 0}
    ends = {"answered": 1}
    assert flood.summarise([{**figures, "ends": ends, "left": clean}])["is_on_target"]
    leaking = {**clean, "objects": 1}
    assert not flood.summarise([{**figures, "ends": ends, "left": leaking}])["is_on_target"]
    slow = {**figures, "lag_p99_ms": 20.1}
    assert not flood.summarise([{**slow, "ends": ends, "left": clean}])["is_on_target"]
