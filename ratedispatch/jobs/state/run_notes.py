"""
Notes for a journal on when a run began, how far it is, and how it ended. Pure.

A run begins with a line ``{"run": …}`` and ends with ``{"end": …}``. In between, every few seconds,
a mark ``w1764251999123,40,2,7,52100,930`` says that at this millisecond 40 rows had answers and 2
had failed, 7 had left and had no line, and how many bytes both result files had. What stands behind
these bytes is younger, so that a reader need not count the lines before.

They are for observers. What is sent does not depend on them: a journal of an earlier release,
without them, works as well, and those releases ignore them.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes of the line of a run. With a longer command, such as one with a page of a prompt, the
#: line is written without it.
_LONGEST_LINE = 32_768

#: What a line begins with, and a mark. A record of a row ends in a letter and digits, which no
#: line of these does: earlier releases look for nothing else.
_NOTE = re.compile(
    rb"\n(?:w(\d{1,15}),(\d{1,15}),(\d{1,15}),(\d{1,15}),(\d{1,18}),(\d{1,18})"
    rb'|(\{"(?:run|end)":[^\n]*))(?=\n)'
)
_SIGNS = (b"\nw", b'\n{"')


@dataclass(frozen=True, slots=True)
class Begun:
    """
    The beginning of a run.

    Args:
        at: When, in seconds since 1970.
        command: What started it; empty if it is not known.
        folder: Where it was started.
        process: The number of the process.
        host: The name of the machine.
    """

    at: float
    command: tuple[str, ...] = ()
    folder: str = ""
    process: int = 0
    host: str = ""

    def to_line(self) -> bytes:
        """Return it as a line of a journal."""
        values = asdict(self)
        line = _line("run", values)
        return line if len(line) <= _LONGEST_LINE else _line("run", {**values, "command": ()})


@dataclass(frozen=True, slots=True)
class Ended:
    """
    The end of a run.

    Args:
        at: When, in seconds since 1970.
        code: Why it stopped before its last row; empty if it did not.
        message: The same in one sentence.
    """

    at: float
    code: str = ""
    message: str = ""

    def to_line(self) -> bytes:
        """Return it as a line of a journal."""
        return _line("end", asdict(self))


class Mark(NamedTuple):
    """
    How far a run was at one instant, with what earlier runs had done.

    Args:
        at: When, in seconds since 1970.
        answered: Rows with an answer.
        failed: Rows that failed.
        open_rows: Rows that had left and had no line.
        answers_size: Bytes of the output.
        failures_size: Bytes of the errors file.
    """

    at: float
    answered: int
    failed: int
    open_rows: int
    answers_size: int
    failures_size: int

    def to_line(self) -> bytes:
        """Return it as a line of a journal."""
        return b"w%d,%d,%d,%d,%d,%d\n" % (round(self.at * 1000), *self[1:])


def notes_in(text: bytes) -> Iterator[Begun | Mark | Ended]:
    """Yield what *text*, whole lines of a journal, says of runs; what is damaged is passed over."""
    text = b"\n" + text
    if not any(sign in text for sign in _SIGNS):
        return
    for found in _NOTE.finditer(text):
        if found[7] is None:
            at, *counts = map(int, found.groups()[:6])
            yield Mark(at / 1000, *counts)
        elif (note := _note_on(found[7])) is not None:
            yield note


def _line(name: str, values: dict[str, Any]) -> bytes:
    return json.dumps({name: values}).encode() + b"\n"


def _note_on(line: bytes) -> Begun | Ended | None:
    """Return what *line* notes; None if it is damaged, or of another release."""
    try:
        ((name, value),) = json.loads(line).items()
        at = float(value["at"])
        if not math.isfinite(at):
            return None
        if name == "end":
            return Ended(at, str(value["code"]), str(value["message"]))
        command = tuple(map(str, value["command"]))
        return Begun(at, command, str(value["folder"]), int(value["process"]), str(value["host"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
