"""
What a wrong guess of each knob costs, and what more of each limit brings.

Pure: what plays a setting is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.limits import BURST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ratedispatch.simulate.tune.search import Knob
    from ratedispatch.simulate.tune.setting import Setting
    from ratedispatch.simulate.tune.trial import Trial

#: Factors by which a limit is raised, to see what that brings.
RAISES = (1.1, 1.5, 2.0)

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
