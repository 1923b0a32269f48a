"""
What it costs to survive a power cut: ``--fsync`` always, interval and never.

Each run is a process of its own over the same rows, with a transport in the process that answers
at once, so that nothing but the program and the disk takes time. Runs of the three are
interleaved; medians, and ratios of throughput to ``never``.

    python -m benchmarks.live.durability --runs 5
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread, ratios
from benchmarks.frame.tables import table
from benchmarks.live.parts.job_child import child, write_rows

_WAYS = ("never", "interval", "always")

#: Share of the throughput that a synced interval may cost.
_MOST_COST = 0.05


def measure(rows: int, runs: int, seed: int) -> dict[str, Any]:
    """Return seconds and processor time of each way, and their ratios to ``never``."""
    seconds: dict[str, list[float]] = {way: [] for way in _WAYS}
    cpu: dict[str, list[float]] = {way: [] for way in _WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.jsonl"
        write_rows(source, rows, seed)
        for run in range(runs):
            for way in _WAYS:
                output = folder / f"{way}-{run}.jsonl"
                found = child("--job", source, "--output", output, "--fsync", way)
                seconds[way].append(found["seconds"])
                cpu[way].append(found["cpu_s"])
    speeds, costs = ratios(seconds, "never"), ratios(cpu, "never")
    return {
        "rows": rows,
        "runs": runs,
        "rows_per_second": {way: round(rows / statistics.median(seconds[way])) for way in _WAYS},
        "seconds": {way: Spread.of(seconds[way]).as_dict() for way in _WAYS},
        "seconds_to_never": {way: spread.as_dict() for way, spread in speeds.items()},
        "cpu_to_never": {way: spread.as_dict() for way, spread in costs.items()},
        "is_on_target": 1 / speeds["interval"].median >= 1 - _MOST_COST,
    }


def main() -> int:
    """Print what was measured; 1 if the target is missed."""
    parser = make_parser(__doc__, repeats=5, flag="--runs")
    parser.add_argument("--rows", type=positive, default=20_000, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    found = measure(arguments.rows, arguments.repeats, arguments.seed)
    parts = ("seconds_to_never", "cpu_to_never")
    lines = [["fsync", "rows/s", "seconds × never", "processor × never"]]
    for way in _WAYS:
        ratio = [found[part].get(way, {"median": 1.0})["median"] for part in parts]
        speed = f"{found['rows_per_second'][way]:,}"
        lines += [[way, speed, *(f"{value:.3f}" for value in ratio)]]
    publish(arguments, surroundings, found, table(lines), caveats=(SHARED_MACHINE,))
    return 0 if found["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
