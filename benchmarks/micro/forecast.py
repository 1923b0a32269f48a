"""
What it takes to play a job by the model of its queue.

A process of its own plays rows of 200 tokens under limits on requests and on tokens that bind
equally, with a bucket a minute deep and answers in half a second, and measures the wall and CPU
seconds of the play and the memory that it takes beyond the rows. The targets are for 1,000,000
rows: 8 s and 150 MB.
Run: python -m benchmarks.micro.forecast [--rows N] [--runs N] [--seed N] [--json [FILE]]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import outline

ROWS = 1_000_000
SECONDS = 8.0
MEGABYTES = 150

_CHILD = """
import json, sys, time
from ratedispatch.limits import Limits
from ratedispatch.simulate.forecast.queue_model import play_model
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload
from ratedispatch.simulate.settings import ProviderSettings
def peak():  # not ru_maxrss, which begins with that of the parent
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines["VmHWM"].split()[0]) / 1024
rows = Workload()
chat = rows.index_of(Kind("/v1/chat/completions", "m"))
for _ in range(int(sys.argv[1])):
    rows.add(Row(chat, 150, 50, 150, 50))
limits = Limits(requests_per_minute=10_000, tokens_per_minute=2_000_000)
scene = Scene(limits=limits, provider=ProviderSettings.like(limits, latency=0.5))
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
course = play_model(rows, scene, seed=int(sys.argv[2]))
result = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
print(json.dumps(result | {"beyond_rows_mb": peak() - before, "answered": course.answered}))
"""


def _run(rows: int, seed: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(rows), str(seed)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    if result["answered"] != rows:
        raise AssertionError(f"{result['answered']} of {rows} rows were answered")
    return result


def main() -> int:
    """Measure, print, and return the exit code: 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument("--rows", type=positive, default=ROWS, metavar="N", help="rows to play")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    runs = [_run(arguments.rows, arguments.seed + number) for number in range(arguments.repeats)]
    spreads = {name: Spread.of([run[name] for run in runs]) for name in ("wall_s", "cpu_s")}
    memory = max(run["beyond_rows_mb"] for run in runs)
    micros = spreads["cpu_s"].median / arguments.rows * 1e6
    result = {
        "rows": arguments.rows,
        **{name: spread.as_dict() for name, spread in spreads.items()},
        "cpu_us_a_row": round(micros, 2),
        "beyond_rows_mb": round(memory, 1),
        "target_s": SECONDS,
        "target_mb": MEGABYTES,
    }
    is_whole = arguments.rows == ROWS
    result["misses"] = [
        name
        for name, missed in (
            ("cpu_s", is_whole and spreads["cpu_s"].median > SECONDS),
            ("beyond_rows_mb", memory > MEGABYTES),
        )
        if missed
    ]
    publish(arguments, surroundings, result, outline(result), caveats=[SHARED_MACHINE])
    return 1 if result["misses"] else 0


if __name__ == "__main__":
    sys.exit(main())
