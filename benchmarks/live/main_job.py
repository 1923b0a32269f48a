"""
The main job in real time: a file of requests against a server with limits.

Runs ``ratedispatch run`` against the fake server, each as a process of its own, and compares what
the server saw with the least time that its limits allow. The scenarios, and how to read their
figures, are described in ``benchmarks/README.md``.

Run it with ``python -m benchmarks.live.main_job [SCENARIO ...] [--runs 3] [--json [FILE]]``. The
scenarios take turns. The exit code is 1 if a target was missed.
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
from benchmarks.live.parts.figures import summarise
from benchmarks.live.parts.scenario import BASELINES, SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.live.parts.scenario import Scenario

_BASELINES = "baselines"
_NAMES = (*(scenario.name for scenario in SCENARIOS), _BASELINES)

#: Columns of the table: heading, figure, format of its median.
_COLUMNS = (
    ("bound s", "lower_bound_s", ".2f"),
    ("makespan s", "makespan_s", ".2f"),
    ("ratio", "ratio", ".3f"),
    ("wall s", "wall_s", ".1f"),
    ("answered", "answered", ".0f"),
    ("failed", "failed", ".0f"),
    ("lost", "lost", ".0f"),
    ("doubled", "doubled", ".0f"),
    ("refused", "refusals", ".0f"),
    ("in flight", "in_flight_peak", ".0f"),
)

#: Further figures, named below the table where there are any.
_FURTHER = (
    "admissions_too_many",
    "rows_answered_twice",
    "large_rows_above_target",
    "worst_wait_ratio",
    "worst_wait_late_s",
    "worst_small_wait_ratio",
)


def measure(scenarios: Sequence[Scenario], runs: int, seed: int) -> list[dict[str, Any]]:
    """Return *runs* runs of each scenario and their medians; its file is the same in all."""

    def run(scenario: Scenario, number: int) -> dict[str, Any]:
        found = scenario.measure(seed, seed + number)
        misses = scenario.targets.misses(found) if scenario.targets is not None else []
        shown = f"{found.ended.wall:.1f} s, {found.rows.answered:,} answered"
        progress(f"{scenario.name} {number + 1}/{runs}: {shown}")
        return {**found.as_dict(), "misses": misses}

    ways = {scenario.name: partial(run, scenario) for scenario in scenarios}
    found = interleave(ways, runs)
    return [_result(scenario, found[scenario.name], seed) for scenario in scenarios]


def _result(scenario: Scenario, runs: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    workload = scenario.workload(seed)
    account = scenario.account(workload)
    is_on_target = None if scenario.targets is None else not any(run["misses"] for run in runs)
    return {
        "scenario": scenario.name,
        "rows": len(workload.rows),
        "rpm": account.rpm,
        "tpm": account.tpm,
        "server_burst_s": account.burst_seconds,
        "latency_s": account.latency,
        "is_on_target": is_on_target,
        "summary": summarise(runs),
        "runs": runs,
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the medians as lines of a table, with the spread of the ratio below."""
    rows = [["scenario", "runs", *(heading for heading, _, _ in _COLUMNS), "targets"]]
    notes = []
    for result in results:
        summary = result["summary"]
        cells = [
            format(summary[name]["median"], how) if name in summary else NOTHING
            for _, name, how in _COLUMNS
        ]
        verdict = {True: "met", False: "MISSED", None: NOTHING}[result["is_on_target"]]
        rows.append([result["scenario"], str(len(result["runs"])), *cells, verdict])
        notes += _notes(result)
    return "\n".join([aligned(rows), "", *notes])


def _notes(result: dict[str, Any]) -> list[str]:
    name, summary = result["scenario"], result["summary"]
    notes = []
    if "ratio" in summary and len(result["runs"]) > 1:
        ratio = summary["ratio"]
        notes.append(f"{name}: ratio from {ratio['lowest']:.3f} to {ratio['highest']:.3f}")
    further = [
        f"{figure} {summary[figure]['median']:g}"
        for figure in _FURTHER
        if summary.get(figure, {}).get("highest")
    ]
    if further:
        notes.append(f"{name}: {', '.join(further)}")
    for number, run in enumerate(result["runs"], start=1):
        notes += [f"{name}, run {number}: {miss}" for miss in run["misses"]]
        if run["exit_code"] != 0:
            code = run["exit_code"]
            ended = "took too long and was ended" if code is None else f"exit code {code}"
            words = f": {run['last_words']}" if run["last_words"] else ""
            notes.append(f"{name}, run {number}: {ended}{words}")
    return notes


def main() -> int:
    """Run the scenarios that are named, or all; return the exit code."""
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(_NAMES))
    arguments = parser.parse_args()
    unknown = set(arguments.scenarios) - set(_NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    if arguments.json in _NAMES:
        parser.error(f"--json {arguments.json} would be a file; name the scenarios first")
    surroundings = environment(arguments.seed)
    runs, seed = arguments.repeats, arguments.seed
    wanted = arguments.scenarios or _NAMES
    results = measure([one for one in SCENARIOS if one.name in wanted], runs, seed)
    # a list of its own: its first row is a run of `paced` beside the two others
    beside = measure(BASELINES, runs, seed) if _BASELINES in wanted else []
    result = {"scenarios": results, "baselines": beside}
    text = _text(results, beside)
    publish(arguments, surroundings, result, text, caveats=LOOPBACK)
    return 1 if any(one["is_on_target"] is False for one in (*results, *beside)) else 0


def _text(results: Sequence[dict[str, Any]], beside: Sequence[dict[str, Any]]) -> str:
    parts = ["Medians\n"]
    if results:
        parts.append(table(results))
    if beside:
        if results:
            parts.append("\nThe file of paced, three ways\n")
        parts.append(table(beside))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
