"""
The file of ``--limits``: a table of TOML for each group of models.

Decides what may stand there and names every mistake by file, table and key. Knows nothing of the
other flags.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from ratedispatch.cli.limit_options import AMOUNTS, is_learnable
from ratedispatch.cli.param_types import NONE, parse_amount
from ratedispatch.cli.toml_file import read_toml
from ratedispatch.errors import InvalidLimits, JobError
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import AUTO, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: The keys of limits that can be learned.
_LEARNABLE = tuple(key for key, field in AMOUNTS.items() if is_learnable(field))
_OF_LIMITS = (*AMOUNTS, "burst_seconds")
_OF_GROUP = ("models", *_OF_LIMITS, "max_in_flight")
_OF_FILE = ("groups", "default")

#: No limit is above this; TOML has whole numbers that no float can hold.
_MOST = 1e300

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def read_limits(path: Path) -> LimitGroups:
    """
    Return the groups of limits in the TOML file *path*.

    A group or ``[default]`` without ``rpm`` or ``tpm`` learns that limit: ``"auto"``.

    Raises:
        JobError: The file cannot be read, is not valid TOML, or has an unknown key or a wrong
            value; one sentence names the file, and the table and the key if there is one.
    """
    return _File(path).groups(read_toml(path, f"the limits file {path}"))


class _File:
    """Turns the tables of a file into values, and names the file where they cannot be."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def groups(self, tables: Mapping[str, Any]) -> LimitGroups:
        """Return the groups in *tables*, the content of the file; raise JobError for a mistake."""
        self._check_keys("the file", tables, _OF_FILE)
        groups = self._table("[groups]", tables.get("groups", {}))
        if not groups:
            raise JobError(
                f"the limits file {self._path} has no group; begin one with [groups.NAME]"
            )
        made = tuple(self._group(name, values) for name, values in groups.items())
        default = tables.get("default")
        try:
            return LimitGroups(made, None if default is None else self._default(default))
        except InvalidLimits as error:
            self._refuse(str(error))

    def _group(self, name: str, given: object) -> LimitGroup:
        title = f"[groups.{name if _BARE.fullmatch(name) else json.dumps(name)}]"
        values = self._table(title, given)
        self._check_keys(title, values, _OF_GROUP)
        limits = self._limits(title, values)
        models = values.get("models")
        if models is None:
            self._refuse(f'{title} has no models; give it some, such as models = ["gpt-4o-mini"]')
        if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
            self._refuse(f'{title} models must be texts in brackets, such as ["gpt-4o-mini"]')
        most = values.get("max_in_flight")
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            self._refuse(
                f"{title} max_in_flight must be a whole number from 1 on, not {_show(most)}"
            )
        try:
            return LimitGroup(name, tuple(models), limits, most)
        except InvalidLimits as error:
            self._refuse(f"{title} models: {error}")

    def _default(self, given: object) -> Limits:
        title = "[default]"
        values = self._table(title, given)
        if "models" in values:
            self._refuse(f"{title} takes no models: it is for those that no group names")
        self._check_keys(title, values, _OF_LIMITS)
        return self._limits(title, values)

    def _limits(self, title: str, values: Mapping[str, Any]) -> Limits:
        fields: dict[str, Any] = {AMOUNTS[key]: AUTO for key in _LEARNABLE}
        for key, field in AMOUNTS.items():
            if key in values:
                fields[field] = self._amount(f"{title} {key}", key, values[key])
        if "burst_seconds" in values:
            fields["burst_seconds"] = values["burst_seconds"]
        try:
            return Limits(**fields)
        except InvalidLimits as error:
            self._refuse(f"{title} {error}")

    def _amount(self, title: str, key: str, value: object) -> float | str | None:
        if isinstance(value, str):
            word = value.strip().lower()
            if word in {AUTO, NONE}:
                if key in _LEARNABLE:
                    return AUTO if word == AUTO else None
                self._refuse(
                    f"{title} must be a number; only {' and '.join(_LEARNABLE)} can be {word}"
                )
            try:
                return parse_amount(value)
            except ValueError as error:
                self._refuse(f"{title}: {error}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            self._refuse(f'{title} must be a number such as 3000 or "30k", not {_show(value)}')
        if not 0 < value < _MOST:
            self._refuse(f"{title} must be a finite number above zero, not {_show(value)}")
        return float(value)

    def _table(self, title: str, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(f"{title} must be a table, not {_show(value)}")
        return value

    def _check_keys(self, title: str, values: Iterable[str], known: tuple[str, ...]) -> None:
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key.lower(), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                self._refuse(f"{title} has an unknown key {_show(key)}; {hint}")

    def _refuse(self, reason: str) -> NoReturn:
        raise JobError(f"the limits file {self._path}: {reason}") from None


def _show(value: object) -> str:
    return f"{value!r:.80}" if not isinstance(value, dict) else "a table"
