"""Writes the advice of ``tune`` as values of JSON; a time without end is null."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratedispatch.jobs.tuning.tuner import OnAccount, Tuning
    from ratedispatch.simulate.tune.trial import Trial


def tuning_values(tuning: Tuning) -> dict[str, Any]:
    """Return all that is advised."""
    return {
        "rows": tuning.rows,
        "accounts": [_account(one) for one in tuning.accounts],
        "caps": [cap._asdict() for cap in tuning.caps],
        "notes": list(tuning.notes),
    }


def _account(one: OnAccount) -> dict[str, Any]:
    advice = one.advice
    return {
        "name": one.account.name,
        "tier": one.account.tier,
        "source": one.account.source,
        "now": trial_values(advice.default),
        "best": trial_values(advice.best),
        "changes": list(advice.changes),
        "saved": _number(advice.saved),
        "compared": [trial_values(trial) for trial in advice.finalists],
        "tried": [trial_values(trial) for trial in advice.found.trials],
        "sensitivity": [
            {"knob": wrong.knob, "value": wrong.value, "cost": _number(wrong.cost)}
            for wrong in advice.wrong
        ],
        "raises": [
            {name: _number(value) for name, value in more._asdict().items()}
            for more in advice.raises
        ],
        "doubts": [
            {name: _number(value) for name, value in doubt._asdict().items()}
            for doubt in advice.doubts
        ],
        "services": [
            {name: _number(value) for name, value in asdict(way).items()} for way in one.ways
        ],
    }


def trial_values(trial: Trial) -> dict[str, Any]:
    """Return what came of a setting."""
    return {
        "setting": asdict(trial.setting),
        "seconds": _number(trial.seconds),
        "usd": trial.usd,
        "refused": trial.refused,
        "latency": _number(trial.latency),
        "in_flight_peak": trial.peak,
        "binding": trial.binding or None,
        "shares": {name: _number(share) for name, share in trial.shares.items()},
        "cut": trial.cut,
        "by": trial.method,
    }


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
