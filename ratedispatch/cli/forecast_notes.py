"""Notes that go with the numbers of a forecast, as sentences."""

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

#: The limits that a job may learn, and the flags that set them for the account.
_FLAGS = {"requests": "--account-rpm", "tokens": "--account-tpm"}


def notes_of(
    told: Told, counted: Counted, scene: Scene, found: Forecast, cost: ForetoldCost
) -> list[str]:
    """Return sentences on what a person should know beside the numbers."""
    notes = []
    if counted.counts:
        notes.append(unsendable(counted))
    if found.rows:
        notes += _unknown(told.limits, scene.provider)
    if told.is_pool:
        notes.append("The pool is simulated as one account with the sum of its members' limits.")
    notes += [
        f"The run would stop early, at its {flag} of {about_usd(cap)}; this forecast is for the "
        f"whole job."
        for flag, cap in caps_met(told, cost)
    ]
    if found.rows and isinstance(told.limits, Limits) and not told.limits.rates():
        notes.append("The job has no rate limits; only the number in flight limits its speed.")
    return notes


def unsendable(counted: Counted) -> str:
    """Return a sentence on the rows that cannot be sent: how many, why, and the first of them."""
    from ratedispatch.cli.plan_text import why_not

    counts = counted.counts or {}
    left = sum(counts.values())
    rows = f"{counted.rows:,} row" + "s" * (counted.rows != 1)
    verb = "is" if left == 1 else "are"
    text = f"Of {rows}, {left:,} {verb} not simulated: {', '.join(why_not(counts))}."
    if counted.findings:
        first = counted.findings[0].message
        text += f" {'It is' if left == 1 else 'The first:'} {first}; plan lists them."
    return text


def caps_met(told: Told, cost: ForetoldCost) -> list[tuple[str, float]]:
    """Return the caps at which a run would stop before its end, by their flags."""
    caps = (("--max-cost", told.caps.max_cost), ("--max-cost-run", told.caps.max_cost_run))
    if cost.usd is None:
        return []
    return [(flag, cap) for flag, cap in caps if cap is not None and cost.usd.high > cap]


def _unknown(limits: Limits | LimitGroups, account: ProviderSettings) -> list[str]:
    """Return a sentence on each limit that the job is to learn, and of which nothing is known."""
    if not isinstance(limits, Limits):
        return []
    return [
        f"The account is simulated without a limit on {rate.dimension}: a real job would learn "
        f"it, but the simulation does not know it; set it with {_FLAGS[rate.dimension]}."
        for rate in limits.rates()
        if rate.is_auto
        and rate.dimension in _FLAGS
        and getattr(account, f"{rate.dimension}_per_minute") is None
    ]
