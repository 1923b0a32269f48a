"""
The main job in real time: a file of requests against a server with limits.

Runs ``ratedispatch run`` against the fake server, each as a process of its own, and compares what
the server saw with the least time that its limits allow. The scenarios, and how to read their
figures, are described in ``benchmarks/README.md``.

Run it with ``python -m benchmarks.live.main_job [SCENARIO ...] [--runs 3] [--json]``. The exit
code is 1 if a target was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from benchmarks.live.figures import summarise
from benchmarks.live.scenario import BASELINES, SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.live.scenario import Scenario

_PACKAGES = ("ratedispatch", "openai", "aiohttp", "aiolimiter", "backoff", "tiktoken")
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


def measure(scenario: Scenario, runs: int, seed: int) -> dict[str, Any]:
    """Return *runs* runs of *scenario* and their medians; the file is the same in all of them."""
    results, misses = [], []
    for number in range(runs):
        run = scenario.measure(seed, seed + number)
        found = scenario.targets.misses(run) if scenario.targets is not None else []
        results.append({**run.as_dict(), "misses": found})
        misses += found
        shown = f"{run.ended.wall:.1f} s, {run.rows.answered:,} answered"
        print(f"{scenario.name} {number + 1}/{runs}: {shown}", file=sys.stderr, flush=True)
    workload = scenario.workload(seed)
    account = scenario.account(workload)
    return {
        "scenario": scenario.name,
        "rows": len(workload.rows),
        "rpm": account.rpm,
        "tpm": account.tpm,
        "server_burst_s": account.burst_seconds,
        "latency_s": account.latency,
        "is_on_target": not misses if scenario.targets is not None else None,
        "summary": summarise(results),
        "runs": results,
    }


def environment(seed: int) -> dict[str, Any]:
    """Return what the figures depend on besides the scenarios."""
    return {
        "seed": seed,
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from the source tree
        return "source tree"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - no real path
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the medians as lines of a table, with the spread of the ratio below."""
    rows = [["scenario", "runs", *(heading for heading, _, _ in _COLUMNS), "targets"]]
    notes = []
    for result in results:
        summary = result["summary"]
        cells = [
            format(summary[name]["median"], how) if name in summary else "–"
            for _, name, how in _COLUMNS
        ]
        verdict = {True: "met", False: "MISSED", None: "–"}[result["is_on_target"]]
        rows.append([result["scenario"], str(len(result["runs"])), *cells, verdict])
        notes += _notes(result)
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([*lines, "", *notes])


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
    parser = argparse.ArgumentParser(description="measure the main job in real time")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(_NAMES))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    arguments = parser.parse_args()
    unknown = set(arguments.scenarios) - set(_NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    surroundings = environment(arguments.seed)
    wanted = arguments.scenarios or _NAMES
    results = [
        measure(scenario, arguments.runs, arguments.seed)
        for scenario in SCENARIOS
        if scenario.name in wanted
    ]
    # a list of its own: its first row is a run of `paced` beside the two others
    beside = (
        [measure(scenario, arguments.runs, arguments.seed) for scenario in BASELINES]
        if _BASELINES in wanted
        else []
    )
    if arguments.json:
        print(json.dumps({**surroundings, "scenarios": results, "baselines": beside}, indent=2))
    else:
        _show(surroundings, results, beside)
    return 1 if any(result["is_on_target"] is False for result in (*results, *beside)) else 0


def _show(
    surroundings: dict[str, Any],
    results: Sequence[dict[str, Any]],
    beside: Sequence[dict[str, Any]],
) -> None:
    machine, versions = surroundings["machine"], surroundings["versions"]
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['system']}")
    print(", ".join(f"{name} {number}" for name, number in versions.items()), end="; ")
    print(f"seed {surroundings['seed']}; medians\n")
    if results:
        print(table(results))
    if beside:
        print("\nThe file of paced, three ways\n" if results else "", end="")
        print(table(beside))


if __name__ == "__main__":
    sys.exit(main())
