"""
What it takes to read and count the rows of a file, and to read the counts back.

Each run is a process of its own: cold, where every row is read and counted and the counts are
kept, on one core and then on as many as `simulate` uses; and remembered, where they are read back.
Wall and CPU seconds are of the call alone; the peak memory is of the process, and for counts that
are read back also what they add to imports. The targets are for 1,000,000 rows: at most 300 MB
where they are counted, and 1 s and 60 MB where they are read back. Rows are those of
`benchmarks.micro.plan`, of about 200 tokens.
Run: python -m benchmarks.micro.workload [--rows N] [--runs N] [--seed N] [--json [FILE]]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import outline
from benchmarks.micro.plan import SEED, rows

COLD_MB = 300
REMEMBERED_MB = 60
REMEMBERED_SECONDS = 1.0
#: Rows that the targets are for.
ROWS = 1_000_000

_CHILD = """
import json, resource, sys, time
from pathlib import Path
from ratedispatch.jobs.workload.counts_folder import CountsFolder
from ratedispatch.jobs.workload.file_workload import read_workload
from ratedispatch.jobs.workload.several_cores import cores
def peak():  # not ru_maxrss, which begins with that of the parent
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines["VmHWM"].split()[0]) / 1024
before = peak()
wall, cpu = time.perf_counter(), time.process_time()
counted = read_workload(
    sys.argv[1],
    folder=CountsFolder(Path(sys.argv[2])),
    processes=cores() if sys.argv[3] == "all" else 1,
)
others = resource.getrusage(resource.RUSAGE_CHILDREN)
result = {
    "wall_s": time.perf_counter() - wall,
    "cpu_s": time.process_time() - cpu + others.ru_utime + others.ru_stime,
    "others_peak_mb": others.ru_maxrss / 1024,
}
result |= {"peak_mb": peak(), "beyond_imports_mb": peak() - before}
result |= {"rows": len(counted.workload), "tokens": counted.workload.tokens}
print(json.dumps(result | {"is_remembered": counted.is_remembered}))
"""


def _run(path: Path, cache: Path, cores: str, *, is_remembered: bool) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path), str(cache), cores],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["is_remembered"] is is_remembered
    return result


def main() -> int:
    """Run everything and print the result; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=1, flag="--runs", seed=SEED)
    parser.add_argument("--rows", type=positive, default=ROWS, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    cold, on_cores, remembered = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{row}\n" for row in rows(arguments.rows, arguments.seed))
        for number in range(arguments.repeats):
            cache = Path(folder) / f"counts{number}"
            cold.append(_run(path, cache, "one", is_remembered=False))
            remembered += [_run(path, cache, "one", is_remembered=True) for _ in range(3)]
            others = Path(folder) / f"others{number}"
            on_cores.append(_run(path, others, "all", is_remembered=False))
        size = path.stat().st_size
        kept = max(one.stat().st_size for one in cache.iterdir())
    count = cold[0]["rows"]
    assert len({one["tokens"] for one in (*cold, *on_cores, *remembered)}) == 1
    result = {
        "rows": count,
        "bytes": size,
        "bytes_kept": kept,
        "tokens_per_row": cold[0]["tokens"] / count,
        "cold_rows_per_second": Spread.of([count / one["wall_s"] for one in cold]).as_dict(),
        "cold_wall_s": Spread.of([one["wall_s"] for one in cold]).as_dict(),
        "cold_cpu_s": Spread.of([one["cpu_s"] for one in cold]).as_dict(),
        "cold_peak_mb": Spread.of([one["peak_mb"] for one in cold]).as_dict(),
        "on_cores_rows_per_second": Spread.of(
            [count / one["wall_s"] for one in on_cores]
        ).as_dict(),
        "on_cores_cpu_s": Spread.of([one["cpu_s"] for one in on_cores]).as_dict(),
        "on_cores_peak_mb": Spread.of([one["peak_mb"] for one in on_cores]).as_dict(),
        "on_cores_others_peak_mb": Spread.of([one["others_peak_mb"] for one in on_cores]).as_dict(),
        "remembered_wall_s": Spread.of([one["wall_s"] for one in remembered]).as_dict(),
        "remembered_peak_mb": Spread.of([one["peak_mb"] for one in remembered]).as_dict(),
        "remembered_beyond_imports_mb": Spread.of(
            [one["beyond_imports_mb"] for one in remembered]
        ).as_dict(),
        "targets": {
            "cold_mb": COLD_MB,
            "remembered_mb": REMEMBERED_MB,
            "remembered_s": REMEMBERED_SECONDS,
        },
    }
    result["is_on_target"] = is_on_target = (
        max(one["peak_mb"] for one in (*cold, *on_cores)) <= COLD_MB
        and max(one["beyond_imports_mb"] for one in remembered) <= REMEMBERED_MB
        and max(one["wall_s"] for one in remembered) <= REMEMBERED_SECONDS
    )
    publish(arguments, surroundings, result, outline(result), caveats=[SHARED_MACHINE])
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
