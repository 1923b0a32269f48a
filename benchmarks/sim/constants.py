"""
Which scenarios notice each constant of the algorithms.

Every field of every ``…Tuning`` value is changed, one at a time, by a factor; all scenarios are
played, and those that come to other figures have noticed. A constant that none notices decides
nothing that is held here: it is to be deleted, or a scenario is missing.

Run: python -m benchmarks.sim.constants [--factor X] [--only TEXT] [--seed N] [--json [FILE]]
The exit code is 1 if a constant is noticed by none.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

import ratedispatch
from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import NOTHING, table
from benchmarks.sim.play import play
from benchmarks.sim.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FACTOR = 1.5


def tunings() -> Iterator[tuple[str, Any]]:
    """Yield the name and the value that is used of each ``…Tuning``, in order of its name."""
    found: dict[str, Any] = {}
    for module in pkgutil.walk_packages(ratedispatch.__path__, "ratedispatch."):
        if not module.name.startswith(("ratedispatch.pacing", "ratedispatch.dispatch")):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            kind = type(value)
            if dataclasses.is_dataclass(kind) and kind.__name__.endswith("Tuning"):
                for part in _parts(value):
                    found[f"{type(part).__name__}.{id(part)}"] = part
    for name in sorted(found):
        yield name.partition(".")[0], found[name]


def _parts(value: Any) -> Iterator[Any]:
    """Yield a value and the values of its fields that are made of constants themselves."""
    yield value
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if dataclasses.is_dataclass(part):
            yield from _parts(part)


def constants() -> Iterator[tuple[str, Any, str]]:
    """Yield the name of each constant that is a number, its value, and its field."""
    for name, value in tunings():
        for field in dataclasses.fields(value):
            number = getattr(value, field.name)
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield f"{name}.{field.name}", value, field.name


def changed(number: float, factor: float) -> float:
    """Return *number* times *factor*; a whole number stays one, and becomes another."""
    if isinstance(number, int):
        return max(number + 1, round(number * factor)) if factor > 1 else number - 1
    return number * factor


def notice(value: Any, field: str, factor: float, seed: int, before: dict[str, Any]) -> list[str]:
    """Return the scenarios whose figures change with one constant."""
    number = getattr(value, field)
    object.__setattr__(value, field, changed(number, factor))  # the value is frozen for others
    try:
        found = []
        for scenario in SCENARIOS:
            try:
                figures = play(scenario.make(seed), seed)
            except Exception as error:  # a constant that breaks a run is noticed
                figures = {"error": repr(error)}
            if figures != before[scenario.name]:
                found.append(scenario.name)
        return found
    finally:
        object.__setattr__(value, field, number)


def main(words: Sequence[str] | None = None) -> int:
    """Change each constant; return 1 if one is noticed by no scenario."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("--factor", type=float, default=_FACTOR, metavar="X")
    parser.add_argument("--only", default="", metavar="TEXT", help="constants with it in the name")
    arguments = parser.parse_args(words)
    surroundings = environment(arguments.seed)
    seed = arguments.seed
    before = {scenario.name: play(scenario.make(seed), seed) for scenario in SCENARIOS}
    noticed: dict[str, list[str]] = {}
    for name, value, field in constants():
        if arguments.only in name:
            noticed[name] = notice(value, field, arguments.factor, seed, before)
            progress(f"{name}: {', '.join(noticed[name]) or 'none'}")
    rows = [["constant", "noticed by"]]
    rows += [[name, ", ".join(found) or NOTHING] for name, found in noticed.items()]
    publish(arguments, surroundings, {"noticed": noticed}, table(rows), caveats=())
    return 0 if all(noticed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
