"""
What the program takes beside another commit of itself, as whole processes.

``ratedispatch run`` of this source tree, as it stands, and of the commit send the same file of
equal requests to the same fake server, which answers after 50 ms and has no limits; and both send a
file of one row, which is their start-up. They take turns, and which of them goes first changes from
round to round. Measured are the processor seconds, user and system, of each process from its start
to its end. Ratios are taken within a round, so that a change of the machine's speed meets both.
Both run with this interpreter and its packages, unless the commit is given one of its own, and
their modules are compiled beforehand, as ``pip install`` leaves them.

Run it with ``python -m benchmarks.live.against --commit REV [--rows N] [--in-flight N]
[--python PATH] [--most RATIO] [--rounds N] [--json [FILE]]``. The exit code is 1 if the median of
the ratios of the larger file is above ``--most``.
"""

from __future__ import annotations

import compileall
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread, ratios
from benchmarks.frame.tables import table
from benchmarks.frame.workload import even
from benchmarks.live.overhead import RUN, command, take
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TOKENS = 200
_LATENCY = ("--latency", "0.05", "--latency-sigma", "0")
_PACKAGE = "ratedispatch"
_ROOT = Path(__file__).resolve().parents[2]

THIS = "this"
OTHER = "commit"


@dataclass(frozen=True, slots=True)
class Tree:
    """
    A source tree whose program can be run.

    Args:
        folder: Where its package is.
        python: The interpreter that runs it.
    """

    folder: Path
    python: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its process: its own package goes before an installed one."""
        known = {  # settings of this version need not be those of another
            name: value
            for name, value in os.environ.items()
            if not name.startswith("RATEDISPATCH_")
        }
        return {**known, "PYTHONPATH": str(self.folder), "OPENAI_API_KEY": "any"}


def commit_of(revision: str) -> str:
    """
    Return the full name of the commit *revision*.

    Raises:
        ValueError: There is none.
    """
    words = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    found = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise ValueError(f"--commit {revision}: there is no such commit in {_ROOT}")
    return found.stdout.strip()


def take_out(commit: str, folder: Path) -> None:
    """Put the package of *commit* into *folder*, and compile it."""
    words = ["git", "archive", commit, _PACKAGE]
    packed = subprocess.run(words, cwd=_ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def copy_this(folder: Path) -> None:
    """Put the package of this source tree into *folder*, with what is not committed yet."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_ROOT / _PACKAGE, folder / _PACKAGE, ignore=ignored)


def prepare(tree: Tree) -> None:
    """
    Compile *tree*, and see that it is what its interpreter runs.

    Raises:
        RuntimeError: The interpreter finds another package, or cannot import it.
    """
    if tree.python == sys.executable:
        compileall.compile_dir(tree.folder, quiet=1)
    else:
        subprocess.run([tree.python, "-m", "compileall", "-q", tree.folder], check=True)
    words = [tree.python, "-c", f"import {_PACKAGE}; print({_PACKAGE}.__file__)"]
    found = subprocess.run(
        words, env=tree.variables, cwd=tree.folder, capture_output=True, text=True, check=False
    )
    place = found.stdout.strip() or found.stderr.strip().rpartition("\n")[2]
    if not place.startswith(str(tree.folder)):
        raise RuntimeError(f"{tree.python} does not run the package in {tree.folder}: {place}")


def turns(names: Sequence[str], number: int) -> list[str]:
    """Return *names* in the order of the round *number*: to and fro, from 0."""
    return list(names) if number % 2 == 0 else list(reversed(names))


def measure(
    trees: Mapping[str, Tree], rows: int, in_flight: int, rounds: int, seed: int
) -> dict[str, Any]:
    """Return what each of *trees* takes for a file of so many *rows*, and the ratio of both."""
    with tempfile.TemporaryDirectory(prefix="ratedispatch-against-") as name:
        folder = Path(name)
        even(rows, seed, tokens=_TOKENS).write(folder / "in.jsonl")
        with FakeServerProcess(*_LATENCY) as child:

            def run(tree: Tree) -> float:
                for path in folder.glob("out.jsonl*"):
                    path.unlink()
                child.reset()
                words = [tree.python, *command(RUN, folder, child.base_url, in_flight)[1:]]
                return take(words, folder / "out.jsonl", rows, tree.variables).cpu

            for tree in trees.values():  # not counted: files and caches are cold
                run(tree)
            runs = {name: partial(run, tree) for name, tree in trees.items()}
            found = take_turns(runs, rounds)
    return summarise(found, rows)


def take_turns(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return what each of *runs* returned, in the order of the rounds."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in turns(list(runs), number):
            found[name].append(runs[name]())
            progress(f"{number + 1}/{rounds} {name}: {found[name][-1]:.2f} s of processor")
    return found


def summarise(found: Mapping[str, Sequence[float]], rows: int) -> dict[str, Any]:
    """
    Return the figures of one file.

    Args:
        found: Processor seconds by tree, in the order of the rounds.
        rows: How many rows the file has.
    """
    return {
        "rows": rows,
        "cpu_s": {name: Spread.of(values).as_dict() for name, values in found.items()},
        "cpu_us_per_request": {
            name: round(1e6 * Spread.of(values).median / rows, 1) for name, values in found.items()
        },
        "ratio": ratios(found, OTHER)[THIS].as_dict(),
        "ratio_of_least": round(min(found[THIS]) / min(found[OTHER]), 3),
    }


def text_of(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return *figures*, those of each file, as a table."""
    head = ["rows", f"{OTHER} s", f"{THIS} s", "ratio", "least", "most", "of the least"]
    lines = [head]
    for one in figures:
        seconds = (f"{one['cpu_s'][name]['median']:.3f}" for name in (OTHER, THIS))
        ratio = (f"{one['ratio'][name]:.3f}" for name in ("median", "least", "most"))
        lines.append([f"{one['rows']:,}", *seconds, *ratio, f"{one['ratio_of_least']:.3f}"])
    return table(lines)


def main() -> int:
    """Run both and print what they take; return 1 if this tree takes more than it may."""
    parser = make_parser(__doc__, repeats=5, flag="--rounds")
    parser.add_argument("--commit", required=True, metavar="REV", help="as git names it")
    parser.add_argument("--rows", type=positive, default=20_000, metavar="N")
    parser.add_argument("--in-flight", type=positive, default=200, metavar="N")
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="the interpreter of the commit, if it needs other packages (default: this one)",
    )
    parser.add_argument("--most", type=float, metavar="RATIO", help="the most it may be")
    arguments = parser.parse_args()
    try:
        commit = commit_of(arguments.commit)
    except ValueError as error:
        parser.error(str(error))
    surroundings = environment(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="ratedispatch-trees-") as name:
        trees = {
            OTHER: Tree(Path(name).resolve() / OTHER, arguments.python),
            THIS: Tree(Path(name).resolve() / THIS, sys.executable),
        }
        take_out(commit, trees[OTHER].folder)
        copy_this(trees[THIS].folder)
        for tree in trees.values():
            prepare(tree)
        figures = [
            measure(trees, rows, arguments.in_flight, arguments.repeats, arguments.seed)
            for rows in (1, arguments.rows)
        ]
    result = {"commit": commit, "rounds": arguments.repeats, "files": figures}
    publish(arguments, surroundings, result, text_of(figures), caveats=LOOPBACK)
    ratio: float = figures[-1]["ratio"]["median"]
    return 1 if arguments.most is not None and ratio > arguments.most else 0


if __name__ == "__main__":
    sys.exit(main())
