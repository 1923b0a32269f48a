"""
Simulates a job with the model of its queue, without the work around each request.

An exact recursion from one instant to the next at which something changes: no event loop, no
bodies, no headers. The same seed draws the same chances as the engine's play of the same job, so
that the two can be compared answer by answer.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.limits import Limits
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.limit.limit_source import SourceTuning
from ratedispatch.simulate.forecast.modelled_account import ModelledAccount, boundless
from ratedispatch.simulate.forecast.modelled_brake import ModelledBrake
from ratedispatch.simulate.forecast.modelled_limit import ModelledLimit
from ratedispatch.simulate.forecast.modelled_queue import ModelledQueue
from ratedispatch.simulate.forecast.modelled_readings import ModelledLedger
from ratedispatch.simulate.forecast.modelled_retries import ModelledRetries, Sending
from ratedispatch.simulate.forecast.modelled_server import ModelledServer
from ratedispatch.simulate.forecast.modelled_tally import ModelledTally
from ratedispatch.simulate.forecast.reading_order import reading_order
from ratedispatch.simulate.forecast.row_costs import RowCosts
from ratedispatch.simulate.forecast.unmodelled import knows

__all__ = ["ROW_SECONDS", "knows", "play_model"]

if TYPE_CHECKING:
    from ratedispatch.pacing.concurrency.limit import ConcurrencyLimit
    from ratedispatch.simulate.forecast.course import Course
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload

#: Processor time that one request takes in the program, measured with the default transport on one
#: core of an AMD EPYC; see ``docs/explanation/where-the-time-goes.md``.
ROW_SECONDS = 350e-6

#: The share by which a limit that a header tells has to differ to be in force.
_NEWS_SHARE = SourceTuning().news_share

#: How many may be in flight at first, where no rate is known and where one is.
_FIRST, _FIRST_WITH_RATE = 8, 64


def play_model(
    workload: Workload, scene: Scene, *, seed: int, row_seconds: float = ROW_SECONDS
) -> Course:
    """
    Return the result of *workload* in *scene*, which must be one that `knows` accepts.

    Args:
        workload: The rows.
        scene: What they are played with.
        seed: The seed of all random numbers.
        row_seconds: Seconds of processor time that a request takes here; 0 for none, as in the
            engine's play in virtual time.
    """
    costs = RowCosts(workload, scene)
    limits = _limits_of(scene, costs)
    rng = random.Random(f"{seed} dispatcher")
    most, cpu = scene.max_attempts, row_seconds / scene.processes
    tally = ModelledTally(workload)
    queue = ModelledQueue(
        costs,
        reading_order(len(workload), scene.order),
        ModelledBrake(limits, _concurrency_of(scene, has_rate=bool(limits)), rng),
        ModelledServer(
            scene.provider, [kind.model for kind in workload.kinds], random.Random(seed)
        ),
        tally,
        Sending(
            ModelledRetries(RetryPolicy() if most is None else RetryPolicy(most), rng),
            scene.travel,
            cpu,
            scene.provider.refund,
        ),
    )
    peak = queue.run()
    return tally.course({limit.dimension: limit.used for limit in limits}, peak, cpu)


def _limits_of(scene: Scene, costs: RowCosts) -> tuple[ModelledLimit, ...]:
    """Return the limits that the engine is told, each before the provider's."""
    settings, limits = scene.provider, scene.limits
    assert isinstance(limits, Limits)
    # faults are charged, though the engine takes some of them for uncharged
    is_as_expected = costs.charges is costs.sizes and not (settings.refund or settings.faults)
    found = []
    for rate in limits.rates():
        per_minute = getattr(settings, f"{rate.dimension}_per_minute")
        account, ledger = boundless(), None
        says = settings.headers and per_minute is not None
        if per_minute is not None:
            per_second, told = per_minute / 60, round(per_minute)
            account = ModelledAccount(
                per_second, per_second * settings.burst_seconds, told / 60 if says else per_second
            )
            if says and rate.dimension == "tokens":
                # in debt it says that nothing is left, which no way of charging explains
                has_debts = max(costs.charges, default=0) > per_second * settings.burst_seconds
                ledger = ModelledLedger(told / 60) if has_debts or not is_as_expected else None
            if says and told < rate.per_minute * (1 - _NEWS_SHARE):  # as its headers have it
                rate = replace(rate, per_minute=told, burst=limits.burst_of(told))  # noqa: PLW2901
        found.append(
            ModelledLimit(rate, account, says=says, burst_of=limits.burst_of, ledger=ledger)
        )
    return tuple(found)


def _concurrency_of(scene: Scene, *, has_rate: bool) -> ConcurrencyLimit:
    """Return what decides how many may be in flight."""
    most = scene.max_in_flight
    if isinstance(most, int):
        return FixedLimit(most)
    follows_rate = most is None and has_rate
    start = _FIRST_WITH_RATE if follows_rate else _FIRST
    return AdaptiveLimit(
        start=min(start, scene.connections), most=scene.connections, follows_rate=follows_rate
    )
