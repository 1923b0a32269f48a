"""
Reads ``ratedispatch.toml``: flags of the commands, in a table for each command.

A key is the name of a flag without its dashes, and its value goes through the type of that flag.
The file is beside the input, or in the working directory if there is no input file. A relative path
in it starts from the folder of the file. An API key is refused, because such files are shared.
The keys of all tables are checked, and the values of the table of the command that runs.
"""

from __future__ import annotations

import difflib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ratedispatch.cli import COMMANDS
from ratedispatch.cli.toml_file import read_toml
from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NAME = "ratedispatch.toml"

_KEY_OF_API = "api-key"


def settings_path(source: str | None) -> Path:
    """Return where the settings of a command stand whose input is *source*; None without one."""
    folder = Path() if source is None or source == "-" else Path(source).parent
    return folder / NAME


class SettingsFile:
    """
    The table of one command.

    Args:
        path: The file, which exists.
        command: The name of the command.
        flags: The flags of the command, by their names without dashes.
        flags_of: Returns those of another command.
    """

    def __init__(
        self,
        path: Path,
        command: str,
        flags: Mapping[str, click.Option],
        flags_of: Callable[[str], Mapping[str, click.Option]],
    ) -> None:
        self._path = path
        self._command = command
        self._flags = flags
        self._flags_of = flags_of

    def read(self, ctx: click.Context) -> dict[str, Any]:
        """
        Return the values of the file, by the names of their parameters, as text or truth values.

        Raises:
            click.UsageError: The file cannot be read, has an unknown key, or a value that its flag
                does not take; the message names the file and the key.
        """
        found: dict[str, Any] = {}
        for key, value in self._table().items():
            flag = self._flag(self._command, self._flags, key)
            assert flag.name is not None
            if flag.name in found:
                self._refuse(f"[{self._command}] has {_dashed(key)} twice")
            found[flag.name] = self._value(ctx, key, flag, value)
        return found

    def _table(self) -> Mapping[str, Any]:
        try:
            tables = read_toml(self._path, str(self._path))
        except JobError as error:
            raise click.UsageError(str(error)) from error
        made: Mapping[str, Any] = {}
        for title, values in tables.items():
            name = _dashed(title)
            if not isinstance(values, dict):
                self._refuse(
                    f"{title} is not in a table; write [{self._command}] above it, or the name of "
                    f"another command"
                )
            if name not in COMMANDS:
                near = difflib.get_close_matches(name, COMMANDS, 1)
                hint = (
                    f"did you mean [{near[0]}]?"
                    if near
                    else f"known tables are {_listed(COMMANDS)}"
                )
                self._refuse(f"[{title}] is an unknown table; {hint}")
            if name == self._command:
                made = values
            else:
                flags = self._flags_of(name)
                for key in values:
                    self._flag(name, flags, key)
        return made

    def _flag(self, command: str, flags: Mapping[str, click.Option], key: str) -> click.Option:
        name = _dashed(key)
        if name == _KEY_OF_API:
            hint = (
                "name the environment variable that holds it with api-key-env"
                if f"{_KEY_OF_API}-env" in flags
                else "give --api-key"
            )
            self._refuse(f"[{command}] {key}: an API key does not belong in a file; {hint}")
        if name not in flags:
            near = difflib.get_close_matches(name.lower(), flags, 1)
            hint = (
                f"the nearest flag is --{near[0]}" if near else f"see ratedispatch {command} --help"
            )
            self._refuse(f"[{command}] has an unknown key {json.dumps(key)}; {hint}")
        return flags[name]

    def _value(self, ctx: click.Context, key: str, flag: click.Option, value: object) -> Any:
        title = f"[{self._command}] {key}"
        if flag.is_flag:
            if not isinstance(value, bool):
                self._refuse(f"{title} must be true or false, not {_shown(value)}")
            return value
        given: Any
        if flag.multiple:
            values = value if isinstance(value, list) else [value]
            given = tuple(self._text(title, flag, one) for one in values)
        else:
            given = self._text(title, flag, value)
        try:
            flag.process_value(ctx, given)
        except click.UsageError as error:
            self._refuse(f"{title}: {error.message}")
        return given

    def _text(self, title: str, flag: click.Option, value: object) -> str:
        """Return *value* as it would be written on the command line."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self._refuse(f"{title} must be a string or a number, not {_shown(value)}")
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            return f"{value:.0f}"  # 1e6, which no flag for whole numbers would take
        text = str(value)
        if isinstance(flag.type, click.Path) and text != "-":
            return str(self._path.parent / text)
        return text

    def _refuse(self, reason: str) -> NoReturn:
        raise click.UsageError(f"{self._path}: {reason}")


def _dashed(key: str) -> str:
    return key.replace("_", "-")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}]" for name in names)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a table" if isinstance(value, dict) else f"{value!r:.80}"
