"""
The command line that every benchmark has, and how its result is published.

Decides the flags that all share, and where a result goes. Knows nothing of what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.environment import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What ``--json`` without a file means.
_STDOUT = "-"

#: The names under which every benchmark takes the number of its repeats.
_REPEATS = ("--repeats", "--runs", "--rounds")

#: What is true of every figure taken on a machine that does other things too.
SHARED_MACHINE = "other programs of the machine slow a run: compare ratios of one run, not runs"

#: What is true of every figure taken against the fake server.
LOOPBACK = (
    SHARED_MACHINE,
    "the server is a fake one on the same machine: no network, and limits exactly as it says",
)


def summary(docstring: str | None) -> str:
    """Return the first paragraph of *docstring* on one line, without its last full stop."""
    paragraph = (docstring or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split()).removesuffix(".")


def make_parser(
    docstring: str | None, *, repeats: int, flag: str = "--repeats", seed: int | None = 0
) -> argparse.ArgumentParser:
    """
    Return a parser with the flags that all benchmarks share.

    The parsed values are ``repeats``, ``json`` and, unless *seed* is None, ``seed``.

    Args:
        docstring: That of the module; its first paragraph is the description.
        repeats: How often everything is measured by default.
        flag: The name of that flag that is shown first; its other names work too, so that one
            command can pass it to a whole room.
        seed: The default seed; None for a benchmark without chance.
    """
    parser = argparse.ArgumentParser(_program(), description=f"{summary(docstring)}.")
    names = sorted(_REPEATS, key=lambda name: name != flag)
    parser.add_argument(
        *names,
        dest="repeats",
        type=positive,
        default=repeats,
        metavar="N",
        help="how often everything is measured; the variants take turns (default: %(default)s)",
    )
    if seed is not None:
        parser.add_argument(
            "--seed", type=int, default=seed, metavar="N", help="default: %(default)s"
        )
    parser.add_argument(
        "--json",
        nargs="?",
        const=_STDOUT,
        type=writable,
        metavar="FILE",
        help="write everything as JSON to FILE, or to standard output instead of the text",
    )
    return parser


def _program() -> str:
    """Return how this process was started; argparse itself knows only the name of the file."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = Path(sys.argv[0]).name if spec is None else spec.name.removesuffix(".__main__")
    return f"python -m {name}"


def positive(text: str) -> int:
    """Return the whole number in *text*, at least 1; for ``type=`` of a flag."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def writable(text: str) -> str:
    """Return *text*, the name of a file that can be written; for ``type=`` of a flag."""
    path = Path(text)
    if text != _STDOUT and (path.is_dir() or not path.parent.is_dir()):
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise argparse.ArgumentTypeError(f"{text!r} {what}; give the name of a file")
    return text


def publish(
    arguments: argparse.Namespace,
    surroundings: dict[str, Any],
    result: Mapping[str, Any],
    text: str,
    *,
    caveats: Iterable[str] = (),
) -> None:
    """
    Print a result, as text or as JSON, and write it to the file that ``--json`` names.

    Args:
        arguments: As parsed by a parser of `make_parser`.
        surroundings: What `environment` said when the run began.
        result: The figures, as JSON types.
        text: The same for a person.
        caveats: What must not be concluded; a sentence each.
    """
    warnings = list(caveats)
    named = {"benchmark": _program().removeprefix("python -m benchmarks.")}
    whole = json.dumps({**named, **surroundings, **result, "caveats": warnings}, indent=2)
    if arguments.json == _STDOUT:
        print(whole)
        return
    print(f"{describe(surroundings)}\n\n{text.rstrip()}")
    if warnings:
        print("\n" + "\n".join(f"Caveat: {warning}." for warning in warnings))
    if arguments.json is not None:
        Path(arguments.json).write_text(f"{whole}\n", encoding="utf-8")


def progress(text: str) -> None:
    """Say how far a run has come, on standard error, where no result goes."""
    print(text, file=sys.stderr, flush=True)
