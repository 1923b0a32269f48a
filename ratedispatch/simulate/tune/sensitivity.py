"""
Computes what a wrong value of each knob costs, and what a higher limit saves.

Pure: the simulation is a parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.limits import BURST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ratedispatch.simulate.tune.search import Knob
    from ratedispatch.simulate.tune.setting import Setting
    from ratedispatch.simulate.tune.trial import Trial

#: Factors by which a limit is raised, to see what that brings.
RAISES = (1.1, 1.5, 2.0)

#: The depth of the buckets of a provider, among its settings.
DEPTH = "burst_seconds"

#: Seconds of burst, the most that there are.
_MOST_BURST = 60.0


class Wrong(NamedTuple):
    """
    What a knob costs at another position.

    Args:
        knob: Its name.
        value: That position.
        trial: What comes of it.
        cost: The time that it adds, as a share of that of the best setting; below zero if it is
            faster.
    """

    knob: str
    value: Any
    trial: Trial
    cost: float


class Raise(NamedTuple):
    """
    What more of something brings.

    Args:
        name: What is raised: a dimension of the limits, or another word for a bound.
        factor: By how much.
        seconds: What the job takes then.
        saved: The share of the time that it saves.
    """

    name: str
    factor: float
    seconds: float
    saved: float


class Doubt(NamedTuple):
    """
    What becomes of the best setting where the provider is otherwise than was said.

    Args:
        name: What is otherwise: a field of the settings of a provider.
        value: What it is then.
        cost: The time that it adds, as a share.
        refused: Requests that are refused then.
        unanswered: Rows that are answered as was said, and not then.
    """

    name: str
    value: float
    cost: float
    refused: int
    unanswered: int = 0


def sensitivity(
    play: Callable[[Setting], Trial], best: Trial, knobs: Iterable[Knob]
) -> list[Wrong]:
    """Return what half and double of each of *knobs* cost beside *best*; or each other choice."""
    found = []
    for knob in knobs:
        for value in _others(knob, best):
            trial = play(best.setting.with_knob(knob.name, value))
            found.append(Wrong(knob.name, value, trial, trial.seconds / best.seconds - 1))
    return found


def _others(knob: Knob, best: Trial) -> list[Any]:
    value = getattr(best.setting, knob.name)
    if knob.name == "max_in_flight" and not isinstance(value, int):
        value = best.peak
    if knob.is_whole is None or value is None:
        return [other for other in knob.values if other != value]
    if knob.is_whole:
        return [one for one in (max(1, round(value / 2)), value * 2) if one != value]
    value = value or BURST_SECONDS
    return [value / 2, min(_MOST_BURST, value * 2)]


def doubts(
    play: Callable[[str, float], Trial], settings: Mapping[str, float], best: Trial
) -> list[Doubt]:
    """
    Return what happens to the best setting where the provider is otherwise than was said.

    Args:
        play: Says what comes of that setting with another value of a name.
        settings: What was said, by name; half of a depth and double of a time are tried.
        best: What comes of it as was said.
    """
    found = []
    for name, said in settings.items():
        value = said * (0.5 if name == DEPTH else 2.0)
        trial = play(name, value)
        unanswered = max(0, best.rows - trial.rows)
        cost = trial.seconds / best.seconds - 1
        found.append(Doubt(name, value, cost, trial.refused, unanswered))
    return found


def raises(
    play: Callable[[str, float], float], names: Iterable[str], seconds: float
) -> list[Raise]:
    """
    Return what more of each of *names* brings, those that bring the most first.

    Args:
        play: Says how many seconds the job takes with so many times as much of a name.
        names: What can be raised.
        seconds: What the job takes now.
    """
    found = [
        [Raise(name, factor, took := play(name, factor), 1 - took / seconds) for factor in RAISES]
        for name in names
    ]
    found.sort(key=lambda rows: min(row.seconds for row in rows))
    return [row for rows in found for row in rows]
