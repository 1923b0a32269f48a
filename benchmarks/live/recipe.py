"""
A file sent at the limits, beside the well-known recipe: asyncio.gather and backoff.

The same file goes to the same server with the same limits, once with ``ratedispatch run``, which
is told the limits, and once with each of three variants of the recipe, which cannot be told them.
Rows are of mixed lengths, such that requests and tokens bind about alike. The fastest variant is
the one that the picture of the README shows (``python -m benchmarks.charts``), from the run with
the median makespan of each.

Run it with ``python -m benchmarks.live.recipe [--runs 5] [--json [FILE]]``.
"""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.tables import table
from benchmarks.frame.workload import Workload, mixed
from benchmarks.live.parts.figures import summarise
from benchmarks.live.parts.scenario import RUN, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.live.parts.figures import Figures

_ROWS = 1_500

#: Tokens per minute at which these rows, at 3,000 requests per minute, need about all of both.
_TPM = 1_000_000

#: Seconds of a short answer.
_LATENCY = 1.0

#: Seconds that a variant may take: ten times what the limits allow.
_LIMIT = 300.0

#: What sends the file, and how it is called.
WAYS = {
    RUN: "ratedispatch run",
    "backoff": "gather + backoff, retries of the SDK off",
    "backoff-sdk": "gather + backoff, the client as it comes",
    "backoff-100": "gather + backoff, at most 100 rows at a time",
}

#: What the server counted in each second of a run.
SERIES = ("admitted", "tokens_charged", "refused")

_COLUMNS = (
    ("bound s", "lower_bound_s", ".1f"),
    ("makespan s", "makespan_s", ".1f"),
    ("sent", "arrived", ",.0f"),
    ("refused", "refusals", ",.0f"),
    ("answered", "answered", ",.0f"),
    ("lost", "lost", ",.0f"),
)


def _workload(seed: int) -> Workload:
    return mixed(_ROWS, seed)


def scenario(way: str) -> Scenario:
    """Return how the file is sent *way*: to the same server, whatever the way."""
    return Scenario(way, _workload, None, latency=_LATENCY, tpm=_TPM, way=way, time_limit=_LIMIT)


def measure(runs: int, seed: int) -> dict[str, list[Figures]]:
    """Return *runs* runs of each way, which take turns."""

    def runner(way: str) -> Callable[[int], Figures]:
        def run(number: int) -> Figures:
            found = scenario(way).measure(seed, seed + number)
            progress(f"{way} {number + 1}/{runs}: {found.makespan} s, {found.refusals:,} refused")
            return found

        return run

    return interleave({way: runner(way) for way in WAYS}, runs)


def series(run: Figures) -> dict[str, list[int]]:
    """Return what the server counted in each second from the first arrival to the last answer."""
    first = int(run.stats["first_arrival"])
    return {name: run.stats["per_second"][name][first:] for name in SERIES}


def report(found: Mapping[str, Sequence[Figures]], seed: int) -> dict[str, Any]:
    """Return all runs, their medians, and the seconds of the run with the median makespan."""
    workload = _workload(seed)
    account = scenario(RUN).account(workload)
    ways = []
    for way, runs in found.items():
        made = [run.as_dict() for run in runs]
        middle = statistics.median_low(run.makespan or _LIMIT for run in runs)
        shown = next(run for run in runs if (run.makespan or _LIMIT) == middle)
        one = {"way": way, "title": WAYS[way], "summary": summarise(made), "runs": made}
        ways.append({**one, "per_second": series(shown)})
    return {
        "rows": len(workload.rows),
        "tokens": workload.tokens,
        "rpm": account.rpm,
        "tpm": account.tpm,
        "server_burst_s": account.burst_seconds,
        "latency_s": account.latency,
        "ways": ways,
    }


def text(result: Mapping[str, Any]) -> str:
    """Return the medians as a table, with the extremes of the makespan."""
    rows = [["", "runs", *(heading for heading, _, _ in _COLUMNS), "makespan from–to s"]]
    for way in result["ways"]:
        summary = way["summary"]
        cells = [format(summary[name]["median"], how) for _, name, how in _COLUMNS]
        span = summary["makespan_s"]
        extremes = f"{span['lowest']:.1f}–{span['highest']:.1f}"
        rows.append([way["title"], str(len(way["runs"])), *cells, extremes])
    return table(rows)


def main() -> int:
    """Run all ways in turn; return the exit code."""
    parser = make_parser(__doc__, repeats=5, flag="--runs")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    result = report(measure(arguments.repeats, arguments.seed), arguments.seed)
    publish(arguments, surroundings, result, text(result), caveats=LOOPBACK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
