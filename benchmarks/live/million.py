"""
A million rows: what a job takes in memory, and what it takes to go on with one that is nearly done.

Every run is a process of its own, on a file of rows of about a hundred tokens, with a transport in
the process that answers at once: what is measured is the job, not a network. Memory is the peak
of the process, against the same on a twentieth of the rows. Then a job of which 99 % is done is
started again, and measured until its first request; beside it, a process that reads the same two
files line by line and does nothing with them.

    python -m benchmarks.live.million --rows 1000000
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import outline
from benchmarks.live.parts.job_child import child, write_rows

_DONE_SHARE = 0.99
_SMALLER = 20

#: MB that the process may take, and more than with a twentieth of the rows; seconds until the
#: first request of a job that is nearly done.
_MOST_RSS = 220.0
_MOST_GROWTH = 25.0
_MOST_RESUME = 10.0


def measure(rows: int, seed: int) -> dict[str, Any]:
    """Return what a job of *rows* takes, one of fewer, and one that is nearly done."""
    found: dict[str, Any] = {"rows": rows, "seed": seed}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small.jsonl", folder / "large.jsonl"
        write_rows(small, rows // _SMALLER, seed)
        write_rows(large, rows, seed)
        output = folder / "out.jsonl"
        found["small"] = child("--job", small, "--output", folder / "small.out.jsonl")
        found["large"] = child(
            "--job", large, "--output", output, "--max-rows", int(rows * _DONE_SHARE)
        )
        found["reading"] = child("--read", large, output)
        found["resumed"] = child("--job", large, "--output", output)
        found["finished"] = child("--job", large, "--output", output)
    found["rss_difference_mb"] = found["large"]["peak_rss_mb"] - found["small"]["peak_rss_mb"]
    found["resume_cpu_ratio"] = found["finished"]["cpu_s"] / found["reading"]["cpu_s"]
    return found


def main() -> int:
    """Print what was measured; 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=1)
    parser.add_argument("--rows", type=positive, default=1_000_000, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    runs = []
    for run in range(arguments.repeats):
        found = measure(arguments.rows, arguments.seed + run)
        found["is_on_target"] = (
            found["large"]["peak_rss_mb"] <= _MOST_RSS
            and found["rss_difference_mb"] <= _MOST_GROWTH
            and found["resumed"]["first_request_s"] <= _MOST_RESUME
        )
        runs.append(found)
    is_on_target = all(run["is_on_target"] for run in runs)
    result = {"runs": runs, "is_on_target": is_on_target}
    text = "\n\n".join(outline(run) for run in runs)
    publish(arguments, surroundings, result, text, caveats=(SHARED_MACHINE,))
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
