"""What a person should know of a forecast beside its numbers, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.limits import Limits
from ratedispatch.observe.human import about_usd

if TYPE_CHECKING:
    from ratedispatch.cli.simulate import Told
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.plan.foretold_cost import ForetoldCost
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.simulate.forecast.forecast import Forecast
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.settings import ProviderSettings

#: The limits that an account may have and a job may learn, and the flags that say them.
_FLAGS = {"requests": "--account-rpm", "tokens": "--account-tpm"}


def notes_of(
    told: Told, counted: Counted, scene: Scene, found: Forecast, cost: ForetoldCost
) -> list[str]:
    """Return sentences on what a person should know beside the numbers."""
    notes = []
    left = counted.rows - len(counted.workload)
    if left:
        rows = "1 row is" if left == 1 else f"{left:,} rows are"
        notes.append(f"{rows} not played, since no limit allows it or it is no request; see plan.")
    notes += _unknown(told.limits, scene.provider)
    if told.is_pool:
        notes.append("The members of the pool are played as one account with all their limits.")
    for flag, cap in (
        ("--max-cost", told.caps.max_cost),
        ("--max-cost-run", told.caps.max_cost_run),
    ):
        if cap is not None and cost.usd is not None and cost.usd.high > cap:
            notes.append(
                f"The run would stop at its {flag} of {about_usd(cap)} before its end; what "
                f"stands here is the whole job."
            )
    if found.rows and isinstance(told.limits, Limits) and not told.limits.rates():
        notes.append("The job has no limits of its own: what is in flight is all that bounds it.")
    return notes


def _unknown(limits: Limits | LimitGroups, account: ProviderSettings) -> list[str]:
    """Return a sentence on each limit that the job is to learn, and of which nothing is known."""
    if not isinstance(limits, Limits):
        return []
    return [
        f"The account is played without a limit on {rate.dimension}: the job is to learn it, and "
        f"nothing says what it is; {_FLAGS[rate.dimension]} does."
        for rate in limits.rates()
        if rate.is_auto
        and rate.dimension in _FLAGS
        and getattr(account, f"{rate.dimension}_per_minute") is None
    ]
