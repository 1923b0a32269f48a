"""
The tables of the file of ``--limits``: limits, bounds, and every mistake in one sentence.

Decides how values are written; the modules of groups and of pools decide what may stand where.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NoReturn

from ratedispatch.cli.limit_options import AMOUNTS, is_learnable
from ratedispatch.cli.param_types import NONE, parse_amount
from ratedispatch.errors import InvalidLimits, JobError
from ratedispatch.limits import AUTO, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: The keys of limits that can be learned.
_LEARNABLE = tuple(key for key, field in AMOUNTS.items() if is_learnable(field))

#: The keys of limits.
OF_LIMITS = (*AMOUNTS, "burst_seconds")

#: No limit is above this; TOML has whole numbers that no float can hold.
_MOST = 1e300


class LimitTables:
    """
    Turns tables of a file into values, and names the file in messages about mistakes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def limits(self, title: str, values: Mapping[str, Any]) -> Limits:
        """Return the limits in the table *values*; those that can be learned are, by default."""
        fields: dict[str, Any] = {AMOUNTS[key]: AUTO for key in _LEARNABLE}
        for key, field in AMOUNTS.items():
            if key in values:
                fields[field] = self.amount(f"{title} {key}", key, values[key])
        if "burst_seconds" in values:
            fields["burst_seconds"] = values["burst_seconds"]
        try:
            return Limits(**fields)
        except InvalidLimits as error:
            self.refuse(f"{title} {error}")

    def amount(self, title: str, key: str, value: object) -> float | str | None:
        """Return the amount *value* of the limit *key*."""
        if isinstance(value, str):
            word = value.strip().lower()
            if word in {AUTO, NONE}:
                if key in _LEARNABLE:
                    return AUTO if word == AUTO else None
                self.refuse(
                    f"{title} must be a number; only {' and '.join(_LEARNABLE)} can be {word}"
                )
            try:
                return parse_amount(value)
            except ValueError as error:
                self.refuse(f"{title}: {error}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.refuse(f'{title} must be a number such as 3000 or "30k", not {show(value)}')
        if not 0 < value < _MOST:
            self.refuse(f"{title} must be a finite number above zero, not {show(value)}")
        return float(value)

    def most_in_flight(self, title: str, values: Mapping[str, Any]) -> int | None:
        """Return the bound on the number in flight in the table *values*."""
        most = values.get("max_in_flight")
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            self.refuse(
                f"{title} max_in_flight must be a whole number, 1 or more, not {show(most)}"
            )
        return most

    def table(self, title: str, value: object) -> dict[str, Any]:
        """Return *value*, which is a table."""
        if not isinstance(value, dict):
            self.refuse(f"{title} must be a table, not {show(value)}")
        return value

    def check_keys(self, title: str, values: Iterable[str], known: tuple[str, ...]) -> None:
        """Refuse a key that is not one of those *known*, and name the nearest."""
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key.lower(), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
                self.refuse(f"{title} has an unknown key {show(key)}; {hint}")

    def refuse(self, reason: str) -> NoReturn:
        """Raise what says that the file is wrong, and why."""
        raise JobError(f"the limits file {self.path}: {reason}") from None


def show(value: object) -> str:
    """Return *value* as messages show it."""
    return f"{value!r:.80}" if not isinstance(value, dict) else "a table"
