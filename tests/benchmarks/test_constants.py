"""The command that tells what notices a constant."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

import pytest

import ratedispatch
from benchmarks.frame.venvs import PROJECT
from benchmarks.sim import constants
from benchmarks.sim.trials import Trial, trials
from ratedispatch.dispatch.breaker_waits import DEFAULT_TUNING, BreakerTuning
from ratedispatch.pacing.concurrency.adaptive_tuning import AdaptiveTuning


@functools.cache
def known() -> dict[str, constants.Constant]:
    """Return all constants, by name; not at import, since they stand in all modules."""
    return {one.name: one for one in constants.constants()}


def chosen(*names: str) -> list[Trial]:
    return [trial for trial in trials(0) if trial.name in names]


def test_every_constant_of_the_search_is_listed_once() -> None:
    """By the name of its value and its own."""
    names = [name for name in known() if name.startswith("AdaptiveTuning.")]
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
    swept = {name.partition(".")[0] for name in known()}
    # one is made of others; the other is of processes that end, held by jobs/processes/test_losses
    assert classes - swept <= {"LimitTuning", "LossTuning"}


def test_trials_have_names_of_their_own() -> None:
    """By which the table names them."""
    names = [trial.name for trial in trials(0)]
    assert len(names) == len(set(names))


def test_what_reads_a_constant_is_found_and_nothing_is_left_behind() -> None:
    """What is never reached gives up by probes, and what takes no request by seconds."""
    places = dict(vars(BreakerTuning))
    all_known = known()
    two = [all_known["BreakerTuning.unreached_probes"], all_known["BreakerTuning.request_seconds"]]
    names = ("trouble: wrong address", "trouble: no row is taken")
    played = list(constants.readings(chosen(*names), two))
    assert [(trial.name, read) for trial, _, read in played] == [
        (names[0], frozenset({"BreakerTuning.unreached_probes"})),
        (names[1], frozenset({"BreakerTuning.request_seconds"})),
    ]
    assert dict(vars(BreakerTuning)) == places


def test_a_constant_is_changed_for_one_run_only() -> None:
    """Twice as many probes of an address that is wrong cost a user the next one's seconds."""
    constant = known()["BreakerTuning.unreached_probes"]
    found = constants.sweep(chosen("trouble: wrong address"), constant.name)
    assert found == {
        constant.name: [
            constants.Notice("trouble: wrong address", 2.0, "seconds", 3.504, 7.505, is_felt=True)
        ]
    }
    assert constant.values == (DEFAULT_TUNING,)
    assert BreakerTuning() == DEFAULT_TUNING


def test_the_best_that_notices_is_named_unless_all_are_asked_for() -> None:
    """One that is felt goes before one of which the figures are merely others."""

    def notice(trial: str, *, is_felt: bool) -> constants.Notice:
        return constants.Notice(trial, 2.0, "seconds", 1.0, 2.0, is_felt=is_felt)

    other, felt = notice("other", is_felt=False), notice("felt", is_felt=True)
    assert constants.best([other, felt]) == felt
    assert constants.best([other] * 9 + [felt]) == other
    assert constants.best([]) is None


@pytest.mark.parametrize(
    ("before", "after", "figure", "is_felt"),
    [
        ({"seconds": 100.0, "in vain": 3}, {"seconds": 100.4, "in vain": 3}, "seconds", False),
        ({"seconds": 100.0, "in vain": 3}, {"seconds": 100.5, "in vain": 3}, "seconds", True),
        ({"seconds": 100.0, "in vain": 3}, {"seconds": 90.0, "in vain": 4}, "in vain", True),
        ({"seconds": 100.0, "in vain": 3}, {"seconds": 90.0, "in vain": 3}, "seconds", False),
    ],
)
def test_half_a_percent_of_the_time_or_one_row_is_felt(
    before: dict[str, float], after: dict[str, float], figure: str, is_felt: bool
) -> None:
    """Less is only another figure."""
    trial = Trial("t", lambda: after)
    found = constants.compare(trial, 2.0, before, after)
    assert found is not None
    assert (found.figure, found.is_felt) == (figure, is_felt)
    assert constants.compare(trial, 2.0, before, before) is None


@pytest.mark.parametrize(
    ("number", "factor", "found"),
    [(8, 1.5, 12), (1, 1.5, 2), (8, 0.5, 4), (1, 0.5, 0), (0.2, 2.0, 0.4), ((1, 2.0), 2.0, (2, 4))],
)
def test_a_whole_number_stays_one(number: float, factor: float, found: float) -> None:
    """And becomes another."""
    assert constants.changed(number, factor) == found


#: What no run in virtual time can show, and the tests that hold it.
HELD_BY = {
    # only where this process's own loop is what is slow, and virtual time has none that is
    "AdaptiveTuning.least_growth": "tests/pacing/concurrency/test_adaptive.py",
    "AgeTuning.most_": "tests/memory/test_facts.py",  # sizes of a file
    # the limiters of the trials send no headers
    "ArrivalTuning.": "tests/pacing/limit/test_arrival_window.py",
    # two windows that follow each other are hardly apart, two outages are by hours
    "BlackoutTuning.repeating_seconds": "tests/pacing/test_blackout.py",
    "RecordTuning.forgotten_seconds": "tests/pacing/shared",  # members that left long ago
    "RedisTuning.": "tests/sharing/test_redis_store.py",  # waits for a real server
    # leases are from 150 requests a second on, at which a trial would take a minute
    "SharedTuning.far_lease_seconds": "tests/pacing/shared",
    "SharedTuning.most_leased": "tests/pacing/shared",
    "SharedTuning.near_lease_seconds": "tests/pacing/shared",
    # a store that is gone, for as long as no round is
    "SharedTuning.probe_seconds": "tests/pacing/shared",
    "SharedTuning.stale_seconds": "tests/pacing/shared",
}


def test_the_committed_table_names_what_notices_each_constant() -> None:
    """One that is missing is new: ``python -m benchmarks.renew constants`` looks for it."""
    found = constants.recorded()
    noticed = {name for name, some in found.items() if some}
    assert {name for name in known() if not name.startswith(tuple(HELD_BY))} - noticed == set()
    assert all((PROJECT / place).exists() for place in HELD_BY.values())
    names = {trial.name for trial in trials(0)}
    assert {some[0]["trial"] for some in found.values() if some} <= names
