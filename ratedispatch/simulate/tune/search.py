"""
Finds the best positions of several knobs: one at a time, then those that matter together.

Pure: the simulation is a parameter, and no setting is simulated twice. A grid of five knobs with
eight positions each has 33,000 settings; this search needs a few dozen.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratedispatch.simulate.tune.trial import WORTH, best_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ratedispatch.simulate.tune.setting import Setting
    from ratedispatch.simulate.tune.trial import Trial

#: Times that the gaps beside the best position are halved: an eighth of the first gap is left.
_HALVINGS = 3


#: The knob of which less may be as good as more.
_IN_FLIGHT = "max_in_flight"


@dataclass(frozen=True, slots=True)
class Knob:
    """
    What is tried of a knob.

    Args:
        name: Its field of `Setting`.
        values: The positions that are tried first.
        is_whole: Whether numbers between are whole; None if there is nothing between.
    """

    name: str
    values: tuple[Any, ...]
    is_whole: bool | None = None


@dataclass(slots=True)
class Found:
    """
    What a search has come to.

    Args:
        default: What came of the default.
        best: What came of the best setting.
        trials: Everything that was tried, in order.
        singles: What was tried of each knob alone, with all others at the default.
    """

    default: Trial
    best: Trial
    trials: list[Trial] = field(default_factory=list)
    singles: dict[str, list[Trial]] = field(default_factory=dict)


class _Tries:
    """Plays each setting once."""

    def __init__(self, play: Callable[[Setting], Trial]) -> None:
        self._play = play
        self.known: dict[Setting, Trial] = {}

    def __call__(self, setting: Setting) -> Trial:
        found = self.known.get(setting)
        if found is None:
            found = self.known[setting] = self._play(setting)
        return found


def search(play: Callable[[Setting], Trial], knobs: Sequence[Knob], default: Setting) -> Found:
    """
    Return the best setting with *knobs*.

    Args:
        play: Returns the trial of a setting.
        knobs: Those that may be changed; the others stay.
        default: Where they are now.
    """
    tries = _Tries(play)
    now = tries(default)
    singles = {knob.name: _turn(tries, knob, default, default) for knob in knobs}
    matter = {
        name: single.setting
        for name, trials in singles.items()
        if (single := best_of([now, *trials], default)) is not now
    }
    best = best_of([now, *(tries(one) for one in _combined(default, matter))], default)
    # a limit may come into reach only when another one is out of the way
    for knob in (*reversed(knobs), *knobs[:1]):
        best = best_of([best, *_turn(tries, knob, _loosest(tries, best), default)], default)
    changed = dict.fromkeys(default.changes(best.setting), best.setting)
    for setting in _combined(default, changed):
        tries(setting)
    # of all at once: what is nearly as good as what is nearly as good may be worse than that
    trials = list(tries.known.values())
    return Found(now, best_of(trials, default), trials, singles)


def _loosest(tries: _Tries, best: Trial) -> Setting:
    """Return the setting as fast as *best* with the most in flight, which holds up nothing else."""
    alike = [
        one.setting
        for one in tries.known.values()
        if one.seconds <= best.seconds * (1 + WORTH)
        and one.setting.with_knob(_IN_FLIGHT, None) == best.setting.with_knob(_IN_FLIGHT, None)
    ]
    return max(alike, key=lambda one: _number(one.max_in_flight), default=best.setting)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0


def finalists(found: Found, number: int) -> list[Trial]:
    """Return the *number* best trials, the best first, and the default if it is not among them."""
    left = list(found.trials)
    chosen: list[Trial] = []
    while left and len(chosen) < number:
        chosen.append(best_of(left, found.default.setting))
        left.remove(chosen[-1])
    return chosen if found.default in chosen else [*chosen, found.default]


def _turn(tries: _Tries, knob: Knob, base: Setting, default: Setting) -> list[Trial]:
    """Try *knob* at each of its positions with the others as in *base*, and between the best."""
    values = dict.fromkeys((getattr(base, knob.name), *knob.values))
    trials = [tries(base.with_knob(knob.name, value)) for value in values]
    slowest = max(one.seconds for one in trials)
    if knob.is_whole is None or slowest <= (1 + WORTH) * min(one.seconds for one in trials):
        return trials
    for _ in range(_HALVINGS):
        # the fastest beside the best, which may be a hundredth slower: its gap hides a faster one
        tops = (best_of(trials, default), min(trials, key=lambda one: one.seconds))
        values = dict.fromkeys(getattr(one.setting, knob.name) for one in tops)
        between = {middle: None for value in values for middle in _beside(value, trials, knob)}
        trials += [tries(base.with_knob(knob.name, value)) for value in between]
    return trials


def _beside(value: Any, trials: Iterable[Trial], knob: Knob) -> list[float]:
    """Return what is halfway between *value* and its nearest neighbours among *trials*."""
    if not _is_number(value):
        return []
    tried = {getattr(one.setting, knob.name) for one in trials}
    numbers = sorted(one for one in tried if _is_number(one))
    place = numbers.index(value)
    between = []
    for neighbour in (*numbers[max(0, place - 1) : place], *numbers[place + 1 : place + 2]):
        # numbers above zero are apart by factors
        middle = math.sqrt(value * neighbour) if value * neighbour > 0 else (value + neighbour) / 2
        middle = round(middle) if knob.is_whole else float(f"{middle:.2g}")
        if middle not in tried:
            between.append(middle)
    return between


def _combined(default: Setting, changes: Mapping[str, Setting]) -> Iterable[Setting]:
    """Yield *default* with each choice of the changed knobs as in *changes*."""
    for number in range(len(changes) + 1):
        for names in itertools.combinations(changes, number):
            setting = default
            for name in names:
                setting = setting.with_knob(name, getattr(changes[name], name))
            yield setting


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
