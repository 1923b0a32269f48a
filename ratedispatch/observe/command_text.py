"""Writes commands as lines that a shell parses back to the same words. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PROGRAM = "ratedispatch"


def shell_line(words: Iterable[str]) -> str:
    """
    Return *words* as a line for a shell.

    What cannot be seen, as a line end or a control character in the name of a file, is written as
    ``$'…'``, which bash, zsh and ksh read.
    """
    return " ".join(map(_quoted, words))


def command_text(command: str, flags: Mapping[str, Any]) -> str:
    """
    Return the command line that a run was started with.

    Args:
        command: The command of the program, such as ``run``.
        flags: The values that were given, by flag; an argument has a name without dashes. True
            stands for a flag alone, and a list for a flag that was given several times.
    """
    arguments, words = [], []
    for flag, value in flags.items():
        for each in value if isinstance(value, list) else [value]:
            text = _text(each)
            is_dashed = text.startswith("-") and text != "-"
            if not flag.startswith("-"):
                arguments.append(f"./{text}" if is_dashed else text)
            elif each is True:
                words.append(flag)
            elif each is not None and each is not False:
                words += [f"{flag}={text}"] if is_dashed else [flag, text]
    return shell_line([_PROGRAM, *([command] if command else []), *arguments, *words])


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return str(value)


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    escaped = []
    for character in word:
        if character in "'\\":
            escaped.append(f"\\{character}")
        elif character.isprintable():
            escaped.append(character)
        else:  # byte by byte, as also a name that is not text is kept
            escaped += [f"\\x{byte:02x}" for byte in _bytes(character)]
    return "$'" + "".join(escaped) + "'"


def _bytes(character: str) -> bytes:
    try:
        return character.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair, which a file may hold and no name of one does
        return b"?"
