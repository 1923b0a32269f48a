"""Decides the type of a column of JSON values, by the values alone. Pure."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ratedispatch.jobs.outputs.cell_text import json_text, well_formed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Integers up to here are the same number as a double.
_EXACT = 2**53
_LARGEST = 2**63 - 1


class Kind(Enum):
    """What all values of a column are, but for those that are missing."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    """Integers of 64 bits."""
    NUMBER = "number"
    """Doubles; some may be integers, none of them beyond what a double holds exactly."""
    TEXT = "text"
    JSON = "json"
    """Several of these, lists, objects, or larger integers: each value as JSON."""

    def cell(self, value: object) -> object:
        """Return *value*, which is of this kind or missing, as a table is to hold it."""
        if value is None or self is Kind.BOOLEAN or self is Kind.INTEGER:
            return value
        if self is Kind.NUMBER and isinstance(value, int):
            return float(value)
        if self is Kind.TEXT and isinstance(value, str):
            return well_formed(value)
        return well_formed(json_text(value)) if self is Kind.JSON else value


class _Seen(Enum):
    """What one value is; told apart further than kinds are, as these depend on each other."""

    BOOLEAN = "boolean"
    SMALL = "small"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    OTHER = "other"


def kinds_of(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> list[Kind]:
    """Return the kinds of the columns *names* of *rows*; shape (names,)."""
    seen: list[set[_Seen]] = [set() for _ in names]
    for row in rows:
        for name, known in zip(names, seen, strict=True):
            value = row.get(name)
            if value is not None:
                known.add(_look(value))
    return [_kind(known) for known in seen]


def _look(value: object) -> _Seen:
    if isinstance(value, str):
        return _Seen.TEXT
    if isinstance(value, bool):  # before int, which it is too
        return _Seen.BOOLEAN
    if isinstance(value, int):
        if -_EXACT <= value <= _EXACT:
            return _Seen.SMALL
        return _Seen.INTEGER if -_LARGEST <= value <= _LARGEST else _Seen.OTHER
    return _Seen.NUMBER if isinstance(value, float) else _Seen.OTHER


def _kind(seen: set[_Seen]) -> Kind:
    if seen <= {_Seen.TEXT}:  # nothing but missing values is text as well
        return Kind.TEXT
    if seen == {_Seen.BOOLEAN}:
        return Kind.BOOLEAN
    if seen <= {_Seen.SMALL, _Seen.INTEGER}:
        return Kind.INTEGER
    if seen <= {_Seen.SMALL, _Seen.NUMBER}:
        return Kind.NUMBER
    return Kind.JSON
