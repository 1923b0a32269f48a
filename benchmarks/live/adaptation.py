"""
What the program makes of limits that nobody told it, that move, or that lie.

Runs ``ratedispatch run`` against the fake server, each as a process of its own, under conditions
that differ from what its flags say: buckets deep or shallow, full or empty, other windows, limits
that are lowered, shared or unknown, headers that are missing or wrong, outages, and none at all.
The conditions, and how to read their figures, are described in ``benchmarks/README.md``.

Run it with ``python -m benchmarks.live.adaptation [--scenario NAME ...] [--runs 3] [--json]``.
The scenarios take turns. The exit code is 1 if a target was missed.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.tables import NOTHING
from benchmarks.frame.tables import table as aligned
from benchmarks.live.parts.conditions import TRIALS
from benchmarks.live.parts.figures import summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.live.parts.trial import Trial

#: Columns of the table: heading, figure, factor and format of its median.
_COLUMNS = (
    ("bound s", "lower_bound_s", 1, ".2f"),
    ("makespan s", "makespan_s", 1, ".2f"),
    ("ratio", "ratio", 1, ".3f"),
    ("429s", "refusals", 1, ".0f"),
    ("429s %", "refused_share", 100, ".2f"),
    ("failed", "failed", 1, ".0f"),
    ("lost", "lost", 1, ".0f"),
    ("doubled", "doubled", 1, ".0f"),
    ("CPU s", "cpu_s", 1, ".1f"),
)

#: Figures that some conditions have besides, named below the table where there are any.
_FURTHER = (
    "new_limit_share",
    "limit_share",
    "middle_share",
    "second_half_share",
    "other_refused",
    "arrived_in_outage",
    "quiet_after_outage_s",
    "b_limit_share",
    "known_makespan_s",
    "after_start_ratio",
    "throughput_share",
    "fixed_throughput_share",
    "slots_busy_share",
    "p95_ratio",
)


def measure(trials: Sequence[Trial], runs: int, seed: int) -> list[dict[str, Any]]:
    """Return *runs* runs under each trial and their medians; its file is the same in all."""

    def run(trial: Trial, number: int) -> dict[str, Any]:
        found = trial.measure(seed, seed + number)
        misses = [miss for target in trial.targets if (miss := target.miss(found))]
        shown = f"{found['answered']:,} answered, {found['refusals']:,} refused"
        progress(f"{trial.name} {number + 1}/{runs}: {found['wall_s']:.1f} s, {shown}")
        return {**found, "misses": [*found["row_misses"], *misses]}

    found = interleave({trial.name: partial(run, trial) for trial in trials}, runs)
    return [
        {
            "scenario": trial.name,
            "commands": trial.commands(),
            "targets": {target.figure: str(target) for target in trial.targets},
            "is_on_target": not any(one["misses"] for one in found[trial.name]),
            "summary": summarise(found[trial.name]),
            "runs": found[trial.name],
        }
        for trial in trials
    ]


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the medians as lines of a table, with the further figures and the targets below."""
    rows = [["scenario", "runs", *(heading for heading, *_ in _COLUMNS), "targets"]]
    notes = []
    for result in results:
        summary = result["summary"]
        cells = [
            format(factor * summary[name]["median"], how) if name in summary else NOTHING
            for _, name, factor, how in _COLUMNS
        ]
        verdict = "met" if result["is_on_target"] else "MISSED"
        rows.append([result["scenario"], str(len(result["runs"])), *cells, verdict])
        notes += _notes(result)
    return "\n".join([aligned(rows), "", *notes])


def _notes(result: dict[str, Any]) -> list[str]:
    """Return one line with each figure that has a target or no column, and one for each miss."""
    name, summary, targets = result["scenario"], result["summary"], result["targets"]
    wanted = dict.fromkeys((*targets, *_FURTHER))
    shown = [
        _figure(figure, summary[figure], targets.get(figure))
        for figure in wanted
        if figure in summary
    ]
    notes = [f"{name}: {', '.join(shown)}"] if shown else []
    for number, run in enumerate(result["runs"], start=1):
        words = f" ({run['last_words']})" if run["last_words"] else ""
        notes += [f"{name}, run {number}: MISSED: {miss}{words}" for miss in run["misses"]]
    return notes


def _figure(name: str, values: dict[str, float], target: str | None) -> str:
    text = f"{name} {values['median']:g}"
    if values["lowest"] != values["highest"]:
        text += f" ({values['lowest']:g} to {values['highest']:g})"
    return text if target is None else f"{text} [{target}]"


def main() -> int:
    """Run the scenarios that are named, or all; return the exit code."""
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument(
        "--scenario",
        action="append",
        choices=[trial.name for trial in TRIALS],
        metavar="NAME",
        help="only this one; repeatable",
    )
    parser.add_argument("--list", action="store_true", help="print the scenarios and end")
    arguments = parser.parse_args()
    wanted = [
        trial for trial in TRIALS if arguments.scenario is None or trial.name in arguments.scenario
    ]
    if arguments.list:
        print("\n".join(_listed(wanted)))
        return 0
    surroundings = environment(arguments.seed)
    results = measure(wanted, arguments.repeats, arguments.seed)
    text = f"Medians\n\n{table(results)}"
    publish(arguments, surroundings, {"scenarios": results}, text, caveats=LOOPBACK)
    return 0 if all(result["is_on_target"] for result in results) else 1


def _listed(trials: Iterable[Trial]) -> list[str]:
    """Return a line for each of *trials* with its targets, and its command lines below."""
    lines = []
    for trial in trials:
        targets = [f"{target.figure} {target}" for target in trial.targets]
        lines.append(f"{trial.name}: {', '.join(targets) or 'every row answered'}")
        lines += [f"  {command}" for command in trial.commands().values()]
    return lines


if __name__ == "__main__":
    sys.exit(main())
