"""Which settings are run to compare, and with how many rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ratedispatch.cli.tune_verify import Checked, beside, measured_by, rows_for
from ratedispatch.simulate.tune.advice import Advice
from ratedispatch.simulate.tune.search import Found
from ratedispatch.simulate.tune.sensitivity import Wrong
from ratedispatch.simulate.tune.setting import Setting
from ratedispatch.simulate.tune.trial import Trial

NOW = Trial(setting=Setting(), seconds=400.0, rows=1_000)
BEST = Trial(setting=Setting(max_in_flight=32), seconds=100.0, rows=1_000)


def wrong(knob: str, value: object, cost: float) -> Wrong:
    """Return what another value costs."""
    trial = replace(BEST, setting=BEST.setting.with_knob(knob, value))
    return Wrong(knob, value, trial, cost)


def advice(*others: Wrong) -> Advice:
    """Return advice with 32 in flight."""
    return Advice(
        default=NOW, best=BEST, finalists=(BEST, NOW), found=Found(NOW, BEST), wrong=others
    )


def test_the_best_and_what_is_beside_it_are_run() -> None:
    """Half and double of what is changed; what stays is not run."""
    found = advice(
        wrong("max_in_flight", 16, 1.0),
        wrong("max_in_flight", 64, 0.0),
        wrong("burst_seconds", 1.4, 0.0),
    )
    assert beside(found) == [
        Setting(max_in_flight=32),
        Setting(),
        Setting(max_in_flight=16),
        Setting(max_in_flight=64),
    ]


def test_a_run_takes_long_enough_and_none_takes_too_long() -> None:
    """Twenty seconds of the best, or less where another setting would take too long."""
    found = advice()
    assert rows_for(found, 1_000, [BEST.setting]) == 200
    assert rows_for(found, 1_000, [BEST.setting, NOW.setting]) == 112  # 45 of 400 seconds
    assert rows_for(found, 120, [BEST.setting]) == 50
    assert rows_for(found, 40, [BEST.setting]) == 40


def test_the_error_is_a_share_of_what_was_measured() -> None:
    """Where something was."""
    assert Checked(NOW.setting, 9, 11.0, 10.0).error == pytest.approx(0.1)
    assert Checked(NOW.setting, 9, 11.0, None).error is None


def test_a_run_that_ended_early_has_measured_nothing() -> None:
    """Such as at --spend: its few seconds are not those of all rows."""
    report = {"answered": 9, "failed": 1, "seconds": 5.0, "refusals": 2, "cost_usd": 0.5}
    early = measured_by({**report, "stop_message": "enough is spent"}, NOW.setting, 40, 20.0)
    assert (early.measured, early.error, early.usd) == (None, None, 0.5)
    assert early.note == "stopped after 10 of 40 rows: enough is spent"
    assert measured_by(report, NOW.setting, 10, 4.0).error == pytest.approx(-0.2)
