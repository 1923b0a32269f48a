"""
Run benchmarks: ``python -m benchmarks [NAME [FLAGS]]``.

Without a name it lists them all. A name is that of one benchmark (``micro.counting``) or of a
room (``micro``), and everything after it goes to what is run: ``--help`` shows what one takes.
Each runs in a process of its own, as ``python -m benchmarks.micro.counting`` does, so that none
begins with what another has imported or left in memory.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.catalogue import find_benchmarks, select

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.catalogue import Benchmark

_USAGE = "usage: python -m benchmarks [NAME [FLAGS]]"
_JSON = "--json"


class UsageError(Exception):
    """What was asked for cannot be run."""


def listing(benchmarks: Sequence[Benchmark]) -> str:
    """Return a line for each benchmark, with an empty one between rooms."""
    width = max((len(one.name) for one in benchmarks), default=0)
    lines, room = [_USAGE], None
    for one in benchmarks:
        if one.room != room:
            room = one.room
            lines.append("")
        lines.append(f"{one.name.ljust(width)}  {one.summary}")
    return "\n".join(lines)


def commands(chosen: Sequence[Benchmark], flags: Sequence[str]) -> list[list[str]]:
    """
    Return the command line of each of *chosen*, with *flags* passed on.

    Of several, each gets a file of its own in the folder that ``--json`` names.

    Raises:
        UsageError: ``--json`` names no folder.
    """
    start = [sys.executable, "-m"]
    if len(chosen) == 1:
        return [[*start, chosen[0].module, *flags]]
    flags = [part for flag in flags for part in _split(flag)]
    if _JSON not in flags:
        return [[*start, one.module, *flags] for one in chosen]
    at = flags.index(_JSON)
    folder = next(iter(flags[at + 1 : at + 2]), "-")
    if folder.startswith("-"):
        raise UsageError(
            f"{_JSON} needs a folder, for a file from each of {len(chosen)} benchmarks"
        )
    rest = [*flags[:at], *flags[at + 2 :]]
    return [
        [*start, one.module, *rest, _JSON, str(Path(folder) / f"{one.name}.json")] for one in chosen
    ]


def _split(flag: str) -> list[str]:
    name, sign, value = flag.partition("=")
    return [name, value] if name == _JSON and sign else [flag]


def run(command: Sequence[str]) -> int:
    """Run *command* to its end and return its exit code."""
    return subprocess.run(command, check=False).returncode


def main(words: Sequence[str], run: Callable[[Sequence[str]], int] = run) -> int:
    """
    Run what *words* name and return the exit code: of several, the first that is not 0.

    Args:
        words: A name and flags, or nothing.
        run: Runs a command line and returns its exit code.
    """
    benchmarks = find_benchmarks()
    if not words or words[0] in {"-h", "--help", "--list"}:
        print(listing(benchmarks))
        return 0
    name, *flags = words
    if name.startswith("-"):
        print(f"{_USAGE}\nerror: {name} follows the name of what it is for", file=sys.stderr)
        return 2
    try:
        chosen = select(name, benchmarks)
        lines = commands(chosen, flags)
    except (KeyError, UsageError) as error:
        print(f"{_USAGE}\nerror: {error.args[0]}", file=sys.stderr)
        return 2
    if len(chosen) > 1 and _JSON in lines[0]:
        Path(lines[0][-1]).parent.mkdir(parents=True, exist_ok=True)
    codes = []
    for one, line in zip(chosen, lines, strict=True):
        if len(chosen) > 1:
            print(f"\n== {one.name}", flush=True)
        codes.append(run(line))
    return next((code for code in codes if code != 0), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
