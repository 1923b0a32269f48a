"""The command that tells which scenario notices a constant."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.sim import constants
from benchmarks.sim.play import play
from benchmarks.sim.scenarios import SCENARIOS
from ratedispatch.pacing.concurrency.adaptive_tuning import AdaptiveTuning


def test_every_constant_of_the_search_is_listed_once() -> None:
    """By the name of its value and its own."""
    names = [name for name, *_ in constants.constants() if name.startswith("AdaptiveTuning.")]
    fields = dataclasses.fields(AdaptiveTuning)
    assert names == [f"AdaptiveTuning.{field.name}" for field in fields]


def test_a_constant_is_changed_for_one_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario that turns on it notices, and the value is what it was."""
    chosen = tuple(one for one in SCENARIOS if one.name in {"empty", "slow"})
    monkeypatch.setattr(constants, "SCENARIOS", chosen)
    before = {scenario.name: play(scenario.make(0), 0) for scenario in chosen}
    value = next(value for name, value, _ in constants.constants() if "AdaptiveTuning" in name)
    assert constants.notice(value, "patience_s", 1.5, 0, before) == ["slow"]
    assert value == AdaptiveTuning()


@pytest.mark.parametrize(
    ("number", "factor", "found"), [(8, 1.5, 12), (1, 1.5, 2), (8, 0.5, 7), (0.2, 2.0, 0.4)]
)
def test_a_whole_number_stays_one(number: float, factor: float, found: float) -> None:
    """And becomes another."""
    assert constants.changed(number, factor) == found
