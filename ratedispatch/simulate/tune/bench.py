"""
Tries a setting: makes rows and a scene of it, simulates them, and returns a trial.

The simulation and the prices are parameters. Every setting is simulated with the same random
numbers, so that two settings differ by what they change and not by luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ratedispatch.groups import LimitGroups
from ratedispatch.request import CHAT, COMPLETIONS, RESPONSES
from ratedispatch.simulate.forecast.workload import MOST_TOKENS
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.tune.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.limits import Limits
    from ratedispatch.simulate.forecast.course import Course
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload
    from ratedispatch.simulate.tune.safe_cap import SafeCap
    from ratedispatch.simulate.tune.setting import Setting

#: Requests a second that a process on a core of its own sends at most: the figure of the page on
#: where the time goes. Virtual time knows no processor.
PER_PROCESS = 3_000.0

_GENERATING = frozenset({CHAT, RESPONSES, COMPLETIONS})

#: The most of a limit per minute and in how many seconds, by the fields of the settings.
_PER_ACCOUNT = ("requests_per_minute", "tokens_per_minute", "requests_per_day", "tokens_per_day")


class Play(Protocol):
    """Plays a job once."""

    def __call__(self, workload: Workload, scene: Scene, *, seed: int) -> Course:
        """Return the result of *workload* in *scene*."""


@dataclass(slots=True)
class Bench:
    """
    Plays settings of one job.

    Args:
        workload: Its rows.
        scene: What it is played with, but for what a setting says.
        play: What plays it.
        price: What the tokens of a course cost in USD; None where that is not known.
        caps: The answers that are cut by each cap that may be tried.
        seeds: The seeds of the random numbers; a trial has the means over them.
        method: What trials are said to be played by.
    """

    workload: Workload
    scene: Scene
    play: Play
    price: Callable[[Workload, Course], float | None] = lambda _workload, _course: None
    caps: Sequence[SafeCap] = ()
    seeds: Sequence[int] = (0,)
    method: str = "model"
    _lowered: dict[int, Workload] = field(default_factory=dict)

    def __call__(self, setting: Setting) -> Trial:
        """Return the result of *setting*."""
        rows = self.rows(setting.max_tokens)
        scene = scene_of(setting, self.scene)
        courses = [self.play(rows, scene, seed=seed) for seed in self.seeds]
        number = len(courses)
        first = courses[0]
        usd = [self.price(rows, course) for course in courses]
        known = [one for one in usd if one is not None]
        seconds = math.fsum(map(_whole_seconds, courses)) / number
        return Trial(
            setting=setting,
            seconds=max(seconds, len(rows) / (PER_PROCESS * setting.processes)),
            rows=round(sum(course.answered for course in courses) / number),
            usd=math.fsum(known) / number if len(known) == number else None,
            refused=round(sum(course.refused for course in courses) / number),
            in_flight=math.fsum(course.in_flight_mean for course in courses) / number,
            peak=max(course.in_flight_peak for course in courses),
            binding=first.binding or "",
            shares=dict(first.shares),
            cut=next((cap.cut for cap in self.caps if cap.tokens == setting.max_tokens), 0.0),
            method=self.method,
            stop=first.stop_message or first.stop_code,
        )

    def rows(self, most_tokens: int | None) -> Workload:
        """Return the rows, with no higher caps than *most_tokens*."""
        if most_tokens is None:
            return self.workload
        found = self._lowered.get(most_tokens)
        if found is None:
            default = self.scene.default_output_tokens
            found = self._lowered[most_tokens] = lowered(self.workload, most_tokens, default)
        return found


def _whole_seconds(course: Course) -> float:
    """Return how long it took; forever if it stopped before its end."""
    return math.inf if course.stop_code else course.seconds


def scene_of(setting: Setting, scene: Scene) -> Scene:
    """Return *scene* with the knobs where *setting* has them, but for caps and processes."""
    return replace(
        scene,
        limits=with_burst(scene.limits, setting.burst_seconds),
        max_in_flight=setting.max_in_flight,
        order=setting.order,
    )


def with_burst(limits: Limits | LimitGroups, seconds: float) -> Limits | LimitGroups:
    """Return *limits* with a burst of *seconds*."""
    return _changed(limits, lambda one: replace(one, burst_seconds=seconds))


def raised(scene: Scene, name: str, factor: float) -> Scene:
    """
    Return *scene* with *factor* times as much of *name*.

    Args:
        scene: What a job is played with.
        name: A field of `Limits`, which the job is told of and the account has; or
            ``engine_slots``, those of the server.
        factor: By how much.
    """
    provider = scene.provider
    if name == "engine_slots":
        slots = round((provider.engine_slots or 1) * factor)
        return replace(scene, provider=replace(provider, engine_slots=slots))

    def more(limits: Limits) -> Limits:
        known = getattr(limits, name)
        if not isinstance(known, int | float):
            return limits
        changes: dict[str, Any] = {name: known * factor}
        return replace(limits, **changes)

    limits = _changed(scene.limits, more)
    return replace(scene, limits=limits, provider=_provider_raised(provider, name, factor))


def _provider_raised(provider: ProviderSettings, name: str, factor: float) -> ProviderSettings:
    if name not in _PER_ACCOUNT:
        return provider
    known = getattr(provider, name)
    changes: dict[str, Any] = {} if known is None else {name: known * factor}
    models = {
        model: (
            _times(rpm, factor if name == "requests_per_minute" else 1),
            _times(tpm, factor if name == "tokens_per_minute" else 1),
        )
        for model, (rpm, tpm) in provider.models.items()
    }
    return replace(provider, models=models, **changes)


def _times(rate: float | None, factor: float) -> float | None:
    return None if rate is None else rate * factor


def on_account(scene: Scene, limits: Limits | LimitGroups) -> Scene:
    """Return *scene* on an account that has *limits*, at a provider that is otherwise the same."""
    fields = ProviderSettings.__dataclass_fields__
    others = {
        name: getattr(scene.provider, name)
        for name in fields
        if name not in {*_PER_ACCOUNT, "models"}
    }
    return replace(scene, limits=limits, provider=ProviderSettings.like(limits, **others))


def _changed(
    limits: Limits | LimitGroups, change: Callable[[Limits], Limits]
) -> Limits | LimitGroups:
    if not isinstance(limits, LimitGroups):
        return change(limits)
    groups = tuple(replace(group, limits=change(group.limits)) for group in limits.groups)
    default = None if limits.default is None else change(limits.default)
    return LimitGroups(groups, default)


def lowered(workload: Workload, most_tokens: int, default_tokens: int) -> Workload:
    """
    Return *workload* with no cap above *most_tokens*, and with that cap where there was none.

    Args:
        workload: The rows.
        most_tokens: The most tokens of each output.
        default_tokens: What a row without a cap reserves for each output.
    """
    generates = [kind.endpoint in _GENERATING for kind in workload.kinds]
    output, caps = workload.output[:], workload.cap[:]
    most_tokens = min(most_tokens, MOST_TOKENS)
    for index, cap in enumerate(workload.cap):
        if (cap and cap <= most_tokens) or not generates[workload.kind[index]]:
            continue
        each = cap or default_tokens or 1
        choices = max(1, workload.output[index] // each)
        output[index], caps[index] = min(choices * most_tokens, MOST_TOKENS), most_tokens
    return replace(workload, output=output, cap=caps)


def sample(workload: Workload, rows: int) -> Workload:
    """Return at most *rows* rows of *workload*, evenly spread over it."""
    if len(workload) <= rows:
        return workload
    return workload.chosen(index * len(workload) // rows for index in range(rows))
