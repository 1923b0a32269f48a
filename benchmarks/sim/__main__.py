"""
The program in virtual time against servers of many kinds: exact, and compared to the digit.

Runs a `Dispatcher` and a fake provider in one process, on a clock that jumps. Nothing waits and
nothing is measured, so the figures depend on code and seed alone, and any difference is a change
of behaviour. Run number n, from 0, has the seed ``--seed`` + n.

Run: python -m benchmarks.sim [SCENARIO ...] [--runs N] [--seed N] [--check | --update] [--json]
``--check`` compares with ``expected.json`` and names what differs; the exit code is then 1.
``--update`` accepts what was found: of the scenarios named, or of all in place of the whole file.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import NOTHING, table
from benchmarks.sim.expected import EXPECTED, differences, read_expected, write_expected
from benchmarks.sim.play import play
from benchmarks.sim.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAMES = tuple(scenario.name for scenario in SCENARIOS)

_CAVEATS = (
    "computing takes no time here: what the program costs is measured in micro and live",
    "the provider is exact, answers at once or after a drawn time, and counts as the program does",
)

#: Columns of the table: heading, figure, format.
_COLUMNS = (
    ("bound s", "lower_bound_s", ".2f"),
    ("makespan s", "makespan_s", ".3f"),
    ("ratio", "ratio", ".4f"),
    ("used", "utilisation", ".4f"),
    ("rows", "rows", "d"),
    ("failed", "failed", "d"),
    ("attempts", "attempts", "d"),
    ("429s", "refusals", "d"),
    ("faults", "faults", "d"),
    ("pauses", "pauses", "d"),
    ("in flight", "in_flight_peak", "d"),
)


def measure(names: Sequence[str], seeds: Sequence[int]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the figures of the scenarios called *names*, by name and by seed."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for scenario in SCENARIOS:
        if scenario.name in names:
            progress(f"{scenario.name}: {scenario.summary}")
            found[scenario.name] = {str(seed): play(scenario.make(seed), seed) for seed in seeds}
    return found


def show(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return a table with a line for each run."""
    rows = [["scenario", "seed", *(heading for heading, _, _ in _COLUMNS)]]
    for name, by_seed in results.items():
        for seed, run in by_seed.items():
            cells = [
                NOTHING if run[figure] is None else format(run[figure], how)
                for _, figure, how in _COLUMNS
            ]
            rows.append([name, seed, *cells])
    return table(rows)


def main(words: Sequence[str] | None = None, path: Path = EXPECTED) -> int:
    """
    Play what *words* name; return 1 if a check finds a difference.

    Args:
        words: The command line; by default that of this process.
        path: Where the accepted figures are.
    """
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(_NAMES))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help=f"compare with {path.name}")
    what.add_argument("--update", action="store_true", help=f"write {path.name} anew")
    arguments = parser.parse_args(words)
    unknown = [name for name in arguments.scenarios if name not in _NAMES]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    if arguments.json in _NAMES:
        parser.error(f"--json {arguments.json} would be a file; name the scenarios first")
    surroundings = environment(arguments.seed)
    seeds = range(arguments.seed, arguments.seed + arguments.repeats)
    found = measure(arguments.scenarios or _NAMES, seeds)
    result: dict[str, Any] = {"scenarios": found}
    text, differs = show(found), list[str]()
    if arguments.check:
        is_whole = not arguments.scenarios
        differs = list(differences(read_expected(path), found, is_whole=is_whole))
        result["differences"] = differs
        text += "\n\n" + ("\n".join(differs) or f"As expected, to the digit: {path.name}")
    elif arguments.update:
        # in the order of the scenarios, and without those that are no more
        kept = {**read_expected(path), **found} if arguments.scenarios else found
        write_expected({name: kept[name] for name in _NAMES if name in kept}, path)
    publish(arguments, surroundings, result, text, caveats=_CAVEATS)
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
