"""
Which scenario becomes worse for its user when a constant of the algorithms is changed.

Every field of every ``…Tuning`` value of the package is changed, one at a time, by each factor in
turn, and what reads it is played, the quick first, until one comes to worse figures: more seconds,
more rows without an answer, more requests in vain. If none of some does, it is enough that the
figures are others. Of what is noticed neither doubled nor halved, the magnitude may still count:
it is multiplied and divided by ten then. A constant that nothing notices decides nothing that is
held here: it is to be deleted, or a scenario is missing.

What noticed a constant the last time, as the committed result says, is tried first.

Run: python -m benchmarks.sim.constants [--only TEXT] [--all] [--seed N] [--json [FILE]]
``--all`` plays on, and names everything that notices a constant.
The exit code is 1 if a constant is noticed by none.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ratedispatch
from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import NOTHING, table
from benchmarks.sim.trials import trials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from benchmarks.sim.trials import Trial

#: What was found the last time.
RESULT = Path(__file__).parents[1] / "results" / "constants.json"

#: A constant is changed to each of these times its value. What is noticed by neither is a bound
#: that is never met, or says what another says already.
FACTORS = (2.0, 0.5)

#: What is noticed at none of those, to these: of some only the magnitude counts.
FAR_FACTORS = (10.0, 0.1)

#: The share by which seconds have to grow before anybody notices; a count, by one.
_LEAST_GROWTH = 0.005

#: Trials that come to other figures, of which nothing is felt, before no more are tried.
_PATIENCE = 6

_FELT = {True: "worse", False: "other"}


@dataclass(frozen=True, slots=True)
class Constant:
    """
    One field of a ``…Tuning``.

    Args:
        name: Of the class and of the field, with a dot between.
        values: Those of the class that are used.
    """

    name: str
    values: tuple[Any, ...]

    @property
    def field(self) -> str:
        """The name of the field."""
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Notice:
    """
    How a trial notices a constant.

    Args:
        trial: Its name.
        factor: What the constant was multiplied by.
        figure: What became worse: its name.
        before: What it was.
        after: What it became; None if the trial broke.
        is_felt: Whether that is worse for a user, and not merely other than it was.
    """

    trial: str
    factor: float
    figure: str
    before: float
    after: float | None
    is_felt: bool


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


def constants() -> Iterator[Constant]:
    """Yield each constant that is a number or several."""
    for name, values in _tunings().items():
        for field in dataclasses.fields(values[0]):
            number = getattr(values[0], field.name)
            if isinstance(number, int | float | tuple) and not isinstance(number, bool):
                yield Constant(f"{name}.{field.name}", tuple(values))


def changed(number: Any, factor: float) -> Any:
    """Return *number* times *factor*; a whole number stays one, and becomes another."""
    if isinstance(number, tuple):
        return tuple(changed(one, factor) for one in number)
    if isinstance(number, int):
        return (
            max(number + 1, round(number * factor))
            if factor > 1
            else min(number - 1, round(number * factor))
        )
    return number * factor


class _Read:
    """The place of a field in its class, which notes that it is read."""

    def __init__(self, place: Any, name: str, found: set[str]) -> None:
        self._place, self._name, self._found = place, name, found

    def __get__(self, value: Any, owner: type | None = None) -> Any:
        if value is None:
            return self
        self._found.add(self._name)
        return self._place.__get__(value, owner)

    def __set__(self, value: Any, number: Any) -> None:
        self._place.__set__(value, number)


def readings(
    tried: Iterable[Trial], known: Iterable[Constant]
) -> Iterator[tuple[Trial, Mapping[str, float], frozenset[str]]]:
    """Play each trial; yield it, what it comes to, and the names of the constants that it reads."""
    found: set[str] = set()
    places = [(type(one.values[0]), one.field, one.name) for one in known]
    before = [(kind, field, kind.__dict__[field]) for kind, field, _ in places]
    for (kind, field, name), (_, _, place) in zip(places, before, strict=True):
        setattr(kind, field, _Read(place, name, found))
    try:
        for trial in tried:
            found.clear()
            figures = trial.play()
            yield trial, figures, frozenset(found)
    finally:
        for kind, field, place in before:
            setattr(kind, field, place)


def compare(
    trial: Trial, factor: float, before: Mapping[str, float], after: Mapping[str, float] | None
) -> Notice | None:
    """Return the figure that became worse, or else one that became another; None if none did."""
    other = None
    for name, number in before.items():
        if after is None:
            return Notice(trial.name, factor, name, number, None, is_felt=True)
        growth = 1 if isinstance(number, int) else _LEAST_GROWTH * number
        if after[name] - number >= growth > 0:
            return Notice(trial.name, factor, name, number, after[name], is_felt=True)
        if other is None and after[name] != number:
            other = Notice(trial.name, factor, name, number, after[name], is_felt=False)
    return other


def notices(
    constant: Constant,
    tried: Iterable[tuple[Trial, Mapping[str, float]]],
    factors: Sequence[float] = FACTORS,
) -> Iterator[Notice]:
    """
    Yield how each of *tried*, with what it comes to as it is, notices a constant.

    The constant is as before between two trials and in the end.
    """
    for trial, before in tried:
        found = [compare(trial, one, before, _with(constant, one, trial)) for one in factors]
        noticed = [one for one in found if one is not None]
        yield from sorted(noticed, key=lambda one: not one.is_felt)[:1]


def best(found: Iterable[Notice]) -> Notice | None:
    """Return the first of *found* that a user feels; the first of all if that is far away."""
    first = None
    for number, one in enumerate(found):
        if one.is_felt:
            return one
        first = first or one
        if number == _PATIENCE:
            break
    return first


def _with(constant: Constant, factor: float, trial: Trial) -> Mapping[str, float] | None:
    """Return what a trial comes to with a constant changed; None if that breaks it."""
    numbers = [getattr(value, constant.field) for value in constant.values]
    try:
        for value, number in zip(constant.values, numbers, strict=True):
            object.__setattr__(value, constant.field, changed(number, factor))  # frozen for others
        return trial.play()
    except Exception:
        return None
    finally:
        for value, number in zip(constant.values, numbers, strict=True):
            object.__setattr__(value, constant.field, number)


def sweep(
    tried: Iterable[Trial],
    only: str = "",
    *,
    is_all: bool = False,
    last: Mapping[str, str] | None = None,
) -> dict[str, list[Notice]]:
    """
    Return what notices each constant with *only* in its name.

    Args:
        tried: What can notice it, the quick first.
        only: A part of the name.
        is_all: Whether everything is named that does, and not only the best.
        last: The name of the trial that noticed each constant the last time.
    """
    known = [one for one in constants() if only in one.name]
    played = list(readings(tried, known))
    found: dict[str, list[Notice]] = {}
    for constant in known:
        first = (last or {}).get(constant.name)
        readers = [(trial, figures) for trial, figures, read in played if constant.name in read]
        readers.sort(key=lambda one: one[0].name != first)
        for factors in (FACTORS, FAR_FACTORS):
            noticed = notices(constant, readers, factors)
            one = None if is_all else best(noticed)
            found[constant.name] = list(noticed) if is_all else [one] if one is not None else []
            if found[constant.name]:
                break
        progress(f"{constant.name}: {_said(found[constant.name])}")
    return found


def recorded(path: Path = RESULT) -> dict[str, list[dict[str, Any]]]:
    """Return what noticed each constant the last time, as it was published."""
    if not path.exists():
        return {}
    found: dict[str, list[dict[str, Any]]] = json.loads(path.read_text("utf-8"))["noticed"]
    return found


def _said(found: Sequence[Notice]) -> str:
    return (
        "; ".join(
            f"{one.trial} ×{one.factor:g} {one.figure} {one.before:.6g} → {_number(one.after)}"
            + ("" if one.is_felt else " (not felt)")
            for one in found
        )
        or "none"
    )


def _number(number: float | None) -> str:
    return "breaks" if number is None else f"{number:.6g}"


def main(words: Sequence[str] | None = None) -> int:
    """Change each constant; return 1 if one is noticed by nothing."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("--only", default="", metavar="TEXT", help="constants with it in the name")
    parser.add_argument("--all", action="store_true", help="name everything that notices one")
    arguments = parser.parse_args(words)
    surroundings = environment(arguments.seed)
    last = {name: found[0]["trial"] for name, found in recorded().items() if found}
    found = sweep(trials(arguments.seed), arguments.only, is_all=arguments.all, last=last)
    rows = [["constant", "noticed by", "times", "figure", "before", "after", "felt"]]
    for name, noticed in found.items():
        rows += [
            [
                name,
                one.trial,
                f"{one.factor:g}",
                one.figure,
                f"{one.before:.4g}",
                _number(one.after),
                _FELT[one.is_felt],
            ]
            for one in noticed
        ] or [[name, *[NOTHING] * 6]]
    as_json = {name: [dataclasses.asdict(one) for one in some] for name, some in found.items()}
    publish(arguments, surroundings, {"noticed": as_json}, table(rows), caveats=())
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
