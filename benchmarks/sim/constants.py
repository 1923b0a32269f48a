"""
Which scenarios notice each constant of the algorithms.

Every field of every ``…Tuning`` value of the package is changed, one at a time, by each factor in
turn; scenarios and server models are played until one comes to other figures: it has noticed. A
constant that none notices decides nothing that is held here: it is to be deleted, or a scenario is
missing.

Run: python -m benchmarks.sim.constants [--only TEXT] [--all] [--seed N] [--json [FILE]]
``--all`` plays on, and names everything that notices a constant.
The exit code is 1 if a constant is noticed by none.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import ratedispatch
from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import NOTHING, table
from benchmarks.sim.model_server import play as play_model
from benchmarks.sim.play import play
from benchmarks.sim.scenarios import SCENARIOS
from benchmarks.sim.search import CASES, OWN, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.sim.scenarios import Scenario
    from benchmarks.sim.search import Case

#: A constant is changed to each of these times its value. What is noticed by neither is a bound
#: that is never met, or says what another says already.
FACTORS = (1.5, 0.5)

#: Requests to a server model: enough that a ceiling is lifted again.
_MODEL_ROWS = 4_000


def trials(seed: int) -> dict[str, Callable[[], Any]]:
    """Return what can notice a constant, by name: each comes to figures; the quick ones first."""
    found: dict[str, Callable[[], Any]] = {
        f"search: {case.name}": partial(_searched, case, seed) for case in CASES
    }
    for scenario in SCENARIOS:
        found[scenario.name] = partial(_played, scenario, seed)
    return found


def _searched(case: Case, seed: int) -> Any:
    """Return when each request to a server model was answered."""
    return play_model(case.server, WAYS[OWN](), _MODEL_ROWS, seed).ends


def _played(scenario: Scenario, seed: int) -> Any:
    return play(scenario.make(seed), seed)


def _tunings() -> dict[str, list[Any]]:
    """Return the values that are used of each ``…Tuning``, by its name, in alphabetical order."""
    found: dict[str, dict[int, Any]] = {}
    for module in pkgutil.walk_packages(ratedispatch.__path__, "ratedispatch."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            kind = type(value)
            if dataclasses.is_dataclass(kind) and kind.__name__.endswith("Tuning"):
                for part in _parts(value):
                    found.setdefault(type(part).__name__, {})[id(part)] = part
    return {name: list(found[name].values()) for name in sorted(found)}


def _parts(value: Any) -> Iterator[Any]:
    """Yield a value and the values of its fields that are made of constants themselves."""
    yield value
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if dataclasses.is_dataclass(part):
            yield from _parts(part)


def constants() -> Iterator[tuple[str, list[Any], str]]:
    """Yield the name of each constant that is a number, the values that hold it, and its field."""
    for name, values in _tunings().items():
        for field in dataclasses.fields(values[0]):
            number = getattr(values[0], field.name)
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield f"{name}.{field.name}", values, field.name


def changed(number: float, factor: float) -> float:
    """Return *number* times *factor*; a whole number stays one, and becomes another."""
    if isinstance(number, int):
        return max(number + 1, round(number * factor)) if factor > 1 else number - 1
    return number * factor


def notice(
    values: list[Any],
    field: str,
    tried: Mapping[str, Callable[[], Any]],
    before: Mapping[str, Any],
    *,
    is_all: bool = False,
) -> list[str]:
    """
    Return what notices a constant: the first of *tried*, or all.

    Args:
        values: Those that hold it; they are as before in the end.
        field: Its name.
        tried: What can notice it.
        before: What each comes to as it is.
        is_all: Whether to try on once one has noticed.
    """
    numbers = [getattr(value, field) for value in values]
    found: list[str] = []
    try:
        for factor in FACTORS:
            for value, number in zip(values, numbers, strict=True):
                object.__setattr__(value, field, changed(number, factor))  # frozen for others
            for name, trial in tried.items():
                if name not in found and _figures(trial) != before[name]:
                    found.append(name)
                    if not is_all:
                        return found
    finally:
        for value, number in zip(values, numbers, strict=True):
            object.__setattr__(value, field, number)
    return found


def _figures(trial: Callable[[], Any]) -> Any:
    """Return what a trial comes to; a constant that breaks it is noticed."""
    try:
        return trial()
    except Exception as error:
        return repr(error)


def main(words: Sequence[str] | None = None) -> int:
    """Change each constant; return 1 if one is noticed by nothing."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("--only", default="", metavar="TEXT", help="constants with it in the name")
    parser.add_argument("--all", action="store_true", help="name everything that notices one")
    arguments = parser.parse_args(words)
    surroundings = environment(arguments.seed)
    tried = trials(arguments.seed)
    before = {name: trial() for name, trial in tried.items()}
    noticed: dict[str, list[str]] = {}
    for name, values, field in constants():
        if arguments.only in name:
            noticed[name] = notice(values, field, tried, before, is_all=arguments.all)
            progress(f"{name}: {', '.join(noticed[name]) or 'none'}")
    rows = [["constant", "noticed by"]]
    rows += [[name, ", ".join(found) or NOTHING] for name, found in noticed.items()]
    publish(arguments, surroundings, {"noticed": noticed}, table(rows), caveats=())
    return 0 if all(noticed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
