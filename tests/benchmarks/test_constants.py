"""The command that tells what notices a constant."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import ratedispatch
from benchmarks.sim import constants
from ratedispatch.pacing.concurrency.adaptive_tuning import AdaptiveTuning


def test_every_constant_of_the_search_is_listed_once() -> None:
    """By the name of its value and its own."""
    names = [name for name, *_ in constants.constants() if name.startswith("AdaptiveTuning.")]
    fields = dataclasses.fields(AdaptiveTuning)
    assert names == [f"AdaptiveTuning.{field.name}" for field in fields]


def test_every_tuning_of_the_package_is_swept() -> None:
    """All that stand in its source."""
    sources = Path(ratedispatch.__path__[0]).rglob("*.py")
    classes = {
        name
        for source in sources
        for name in re.findall(r"^class (\w+Tuning)\b", source.read_text("utf-8"), re.MULTILINE)
    }
    swept = {name.partition(".")[0] for name, *_ in constants.constants()}
    assert classes - swept == {"LimitTuning"}  # it is made of others


def test_a_constant_is_changed_for_one_run_only() -> None:
    """A scenario that turns on it notices, and the value is what it was."""
    chosen = {name: trial for name, trial in constants.trials(0).items() if name in _CHOSEN}
    before = {name: trial() for name, trial in chosen.items()}
    values = next(values for name, values, _ in constants.constants() if "AdaptiveTuning" in name)
    assert constants.notice(values, "patience_s", chosen, before) == ["slow"]
    assert values == [AdaptiveTuning()]


_CHOSEN = frozenset({"empty", "slow"})


def test_the_first_that_notices_is_named_unless_all_are_asked_for() -> None:
    """Two server models turn on the elasticity at which doubling ends."""
    names = ("search: 4 places", "search: 16 places")
    chosen = {name: constants.trials(0)[name] for name in names}
    before = {name: trial() for name, trial in chosen.items()}
    values = next(values for name, values, _ in constants.constants() if "AdaptiveTuning" in name)
    first = constants.notice(values, "spread_ln", chosen, before)
    every = constants.notice(values, "spread_ln", chosen, before, is_all=True)
    assert (first, every) == ([names[0]], list(names))


@pytest.mark.parametrize(
    ("number", "factor", "found"), [(8, 1.5, 12), (1, 1.5, 2), (8, 0.5, 7), (0.2, 2.0, 0.4)]
)
def test_a_whole_number_stays_one(number: float, factor: float, found: float) -> None:
    """And becomes another."""
    assert constants.changed(number, factor) == found
