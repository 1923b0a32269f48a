"""Writes the command that a run was started with, of its flags. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROGRAM = "ratedispatch"


def command_text(command: str, flags: Mapping[str, Any]) -> str:
    """
    Return the command line.

    Args:
        command: Of the program, such as ``run``.
        flags: The values that were given, by flag; an argument has a name without dashes. True
            stands for a flag alone, and a list for a flag that was given several times.
    """
    arguments, words = [], []
    for flag, value in flags.items():
        for each in value if isinstance(value, list) else [value]:
            text = shlex.quote(_text(each))
            if not flag.startswith("-"):
                arguments.append(text)
            elif each is True:
                words.append(flag)
            elif each is not None and each is not False:
                words.append(f"{flag} {text}")
    return " ".join([_PROGRAM, command, *arguments, *words]).replace("  ", " ")


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return str(value)
