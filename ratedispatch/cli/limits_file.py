"""
The file of ``--limits``: a table of TOML for each group of models, or for each member of a pool.

Decides what the file may contain, and names every mistake by file, table and key. Knows nothing of
the other flags.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ratedispatch.cli.limits_table import OF_LIMITS, LimitTables
from ratedispatch.cli.pool_file import MemberTables, members_in
from ratedispatch.cli.toml_file import read_toml
from ratedispatch.errors import InvalidLimits, JobError
from ratedispatch.groups import LimitGroup, LimitGroups

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ratedispatch.limits import Limits

_OF_GROUP = ("models", *OF_LIMITS, "max_in_flight")
_OF_FILE = ("groups", "default", "pool")

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def read_limits(path: Path) -> LimitGroups | MemberTables:
    """
    Return the groups of limits, or the members of a pool, in the TOML file *path*.

    A group or ``[default]`` without ``rpm`` or ``tpm`` learns that limit: ``"auto"``.

    Raises:
        JobError: The file cannot be read, is not valid TOML, or has an unknown key or a wrong
            value; one sentence names the file, and the table and the key if there is one.
    """
    tables = read_toml(path, f"the limits file {path}")
    if "pool" in tables:
        return members_in(path, tables)
    return _Groups(path).groups(tables)


class _Groups(LimitTables):
    """Turns the tables of groups into values."""

    def groups(self, tables: Mapping[str, Any]) -> LimitGroups:
        """Return the groups in *tables*, the content of the file; raise JobError for a mistake."""
        self.check_keys("the file", tables, _OF_FILE)
        groups = self.table("[groups]", tables.get("groups", {}))
        if not groups:
            raise JobError(
                f"the limits file {self.path} has no group; add one under [groups.NAME], or a pool "
                f"under [[pool]]"
            )
        made = tuple(self._group(name, values) for name, values in groups.items())
        default = tables.get("default")
        try:
            return LimitGroups(made, None if default is None else self._default(default))
        except InvalidLimits as error:
            self.refuse(str(error))

    def _group(self, name: str, given: object) -> LimitGroup:
        title = f"[groups.{name if _BARE.fullmatch(name) else json.dumps(name)}]"
        values = self.table(title, given)
        self.check_keys(title, values, _OF_GROUP)
        limits = self.limits(title, values)
        models = values.get("models")
        if models is None:
            self.refuse(f'{title} has no models; name them, such as models = ["gpt-4o-mini"]')
        if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
            self.refuse(f'{title} models must be a list of strings, such as ["gpt-4o-mini"]')
        most = self.most_in_flight(title, values)
        try:
            return LimitGroup(name, tuple(models), limits, most)
        except InvalidLimits as error:
            self.refuse(f"{title} models: {error}")

    def _default(self, given: object) -> Limits:
        title = "[default]"
        values = self.table(title, given)
        if "models" in values:
            self.refuse(f"{title} takes no models: it applies to all models that no group names")
        self.check_keys(title, values, OF_LIMITS)
        return self.limits(title, values)
