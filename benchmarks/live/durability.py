"""
What it costs to survive a power cut: ``--fsync`` always, interval and never.

Each run is a process of its own over the same rows, with a transport in the process that answers
at once, so that nothing but the program and the disk takes time. Runs of the three are
interleaved; medians, and ratios of throughput to ``never``.

    python -m benchmarks.live.durability --runs 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.live.million import child, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAYS = ("never", "interval", "always")


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
    medians = {way: statistics.median(seconds[way]) for way in _WAYS}
    return {
        "rows": rows,
        "runs": runs,
        "seconds": seconds,
        "cpu_s": cpu,
        "rows_per_second": {way: round(rows / medians[way]) for way in _WAYS},
        "throughput_to_never": {
            way: round(
                statistics.median(
                    never / own for never, own in zip(seconds["never"], seconds[way], strict=True)
                ),
                3,
            )
            for way in _WAYS
        },
        "cpu_to_never": {
            way: round(
                statistics.median(
                    own / never for never, own in zip(cpu["never"], cpu[way], strict=True)
                ),
                3,
            )
            for way in _WAYS
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    found = measure(options.rows, options.runs, options.seed)
    print(json.dumps(found, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
