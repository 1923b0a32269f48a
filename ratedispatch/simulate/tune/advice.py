"""
Makes the advice on a run: the search, the finalists, and the effect of each knob and limit.

Pure: the simulation is a parameter. Predictions that are shown come from the finalists, which the
more exact simulation has run; gains and losses beside them are ratios of the quick simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ratedispatch.groups import LimitGroups
from ratedispatch.limits import BURST_SECONDS
from ratedispatch.simulate.tune.bench import PER_PROCESS, Bench, raised, scene_of
from ratedispatch.simulate.tune.search import Knob, finalists, search
from ratedispatch.simulate.tune.sensitivity import DEPTH, doubts, raises, sensitivity
from ratedispatch.simulate.tune.setting import ladder
from ratedispatch.simulate.tune.trial import best_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.limits import Limits
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload
    from ratedispatch.simulate.tune.safe_cap import SafeCap
    from ratedispatch.simulate.tune.search import Found
    from ratedispatch.simulate.tune.sensitivity import Doubt, Raise, Wrong
    from ratedispatch.simulate.tune.setting import Setting
    from ratedispatch.simulate.tune.trial import Trial

#: Settings that the exact play compares, besides the default.
_FINALISTS = 2

#: The most in flight that are tried: no server of one's own and no job needs more for long.
_MOST_IN_FLIGHT = 1_024

#: Seconds of burst that are tried; the depth of the bucket and nine tenths of it come to these.
_BURSTS = (0.0, 0.25, 0.5, BURST_SECONDS, 1.0, 2.0, 5.0, 15.0, 30.0, 54.0)

#: Limits that can be requested from a provider.
_ASKED = (
    "requests_per_minute",
    "tokens_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "requests_per_day",
    "tokens_per_day",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """
    What should be changed about a run on one account.

    Args:
        default: What the run comes to as it is.
        best: What it comes to with the best setting.
        finalists: What was compared at last, the best first.
        found: All that the search has tried.
        wrong: What half and double of each knob cost.
        raises: What more of each limit brings.
        doubts: What becomes of it where the provider is otherwise than was said.
        method: What the search was played by.
    """

    default: Trial
    best: Trial
    finalists: tuple[Trial, ...]
    found: Found
    wrong: tuple[Wrong, ...] = ()
    raises: tuple[Raise, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    method: str = "model"

    @property
    def changes(self) -> tuple[str, ...]:
        """The knobs that are to be changed."""
        return self.default.setting.changes(self.best.setting)

    @property
    def saved(self) -> float:
        """The share of the time that the changes save."""
        if self.best.seconds == math.inf:
            return 0.0
        return 1 - self.best.seconds / self.default.seconds if self.default.seconds else 0.0


def advise(
    quick: Bench, exact: Bench, default: Setting, knobs: Sequence[Knob], *, is_brief: bool = False
) -> Advice:
    """
    Return what should be changed.

    Args:
        quick: Plays the settings of the search.
        exact: Plays the finalists.
        default: How the run is as it is.
        knobs: What may be changed.
        is_brief: Whether to leave out what single knobs and limits mean.
    """
    found = search(quick, knobs, default)
    last = {one.setting: exact(one.setting) for one in finalists(found, _FINALISTS)}
    best = best_of(last.values(), default)
    ordered = sorted(last.values(), key=lambda one: (one is not best, one.seconds))
    advice = Advice(
        default=last[default],
        best=best,
        finalists=tuple(ordered),
        found=found,
        method=quick.method,
    )
    if is_brief or best.seconds == math.inf:
        return advice
    # of a part of the rows the start weighs more than of all
    whole = quick if len(quick.workload) == len(exact.workload) else replace(exact, seeds=(1,))
    base = whole(best.setting)
    return replace(
        advice,
        wrong=tuple(sensitivity(whole, base, knobs)),
        raises=tuple(_raises(whole, base)),
        doubts=tuple(_doubts(whole, base)),
    )


def _raises(quick: Bench, base: Trial) -> list[Raise]:
    """Return what more of each limit, and of the places of a server, brings."""

    def play(name: str, factor: float) -> float:
        """Return the seconds with *factor* times as much of *name*."""
        # what goes at once is a part of the limit: as much of it as before is left alone
        bench = replace(quick, scene=raised(quick.scene, name, factor))
        return bench(base.setting).seconds

    names = [name for name in _ASKED if _is_known(quick.scene.limits, name)]
    if quick.scene.provider.engine_slots is not None:
        names.append("engine_slots")
    return raises(play, names, base.seconds)


def _doubts(bench: Bench, base: Trial) -> list[Doubt]:
    """Return what happens to the setting of *base* where the provider is otherwise."""
    provider = bench.scene.provider

    def play(name: str, value: float) -> Trial:
        """Return the result with another *value* of *name*."""
        changes: dict[str, Any] = {name: value}
        scene = replace(bench.scene, provider=replace(provider, **changes))
        return replace(bench, scene=scene)(base.setting)

    said = {}
    if any(_is_known(bench.scene.limits, name) for name in _ASKED):
        said[DEPTH] = provider.burst_seconds
    if provider.latency:
        said["latency"] = provider.latency
    if provider.token_time:
        said["token_time"] = provider.token_time
    return doubts(play, said, base)


def _is_known(limits: Limits | LimitGroups, name: str) -> bool:
    every = (
        [group.limits for group in limits.groups] + [limits.default]
        if isinstance(limits, LimitGroups)
        else [limits]
    )
    return any(isinstance(getattr(one, name, None), int | float) for one in every if one)


def knobs_for(
    workload: Workload, scene: Scene, default: Setting, caps: Sequence[SafeCap] = ()
) -> list[Knob]:
    """
    Return what may be changed about a run of *workload* in *scene*.

    Args:
        workload: The rows.
        scene: What they are played with.
        default: How the run is as it is.
        caps: The caps on outputs that may be tried.
    """
    most = min(_MOST_IN_FLIGHT, max(1, len(workload)))
    counts = [1, *(round(step) for step in ladder(1, least=1, most=most))]
    depth = scene.provider.burst_seconds
    bursts = {one for one in (*_BURSTS, 0.9 * depth, depth) if one <= depth or one < 1}
    knobs = [
        Knob("max_in_flight", (None, "auto", *sorted(set(counts))), is_whole=True),
        Knob("burst_seconds", tuple(sorted(bursts)), is_whole=False),
        Knob("order", ("file", "interleave")),
    ]
    if caps:
        knobs.insert(2, Knob("max_tokens", tuple(cap.tokens for cap in caps)))
    fastest = _requests_a_second(scene, default)
    if fastest > PER_PROCESS * default.processes:
        knobs.append(Knob("processes", (1, -int(-fastest // PER_PROCESS))))
    return knobs


def _requests_a_second(scene: Scene, default: Setting) -> float:
    """Return the requests a second that the limits allow at most; 0 where none is known."""
    limits = scene_of(default, scene).limits
    every = (
        [group.limits for group in limits.groups] + ([limits.default] if limits.default else [])
        if isinstance(limits, LimitGroups)
        else [limits]
    )
    return sum((one.known("requests") or 0) / 60 for one in every)
