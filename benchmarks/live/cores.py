"""
What a job takes of the processor when several processes send it, and how many rows they could do.

Runs ``ratedispatch run`` without limits and with ``--processes`` 1 and N, in turn, against a fake
server in a process of its own, and adds up the processor time of the process with the files and of
those that send. On a machine with fewer cores than that takes, the server included, the rows a
second that were done say little; what the processes would do with a core for each follows from what
each takes for a row: the one with the files is full, or the others are.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import outline
from benchmarks.frame.workload import even
from benchmarks.live.parts.subprocess_call import call_in_subprocess
from ratedispatch.simulate.server.child import FakeServerProcess

#: What is asked of N processes, in rows a second of one of them.
_TARGET = 1.6

_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """
    What a job has taken.

    Args:
        parent: Seconds of processor time of the process with the files; of all without others.
        children: The same of all others together.
        wall: Seconds from the start to the end.
    """

    parent: float
    children: float
    wall: float


def run_job(folder: str, base_url: str, processes: int, in_flight: int) -> Taken:
    """Run the command in this process, and return what it has taken."""
    from ratedispatch.cli import main

    os.environ["OPENAI_API_KEY"] = "any"
    words = ["run", f"{folder}/in.jsonl", "-o", f"{folder}/out-{processes}.jsonl"]
    words += ["--rpm", "none", "--tpm", "none", "--max-in-flight", str(in_flight), "--quiet"]
    words += ["--no-config", "--base-url", base_url, "--processes", str(processes)]
    own, others, begin = (
        _cpu(resource.RUSAGE_SELF),
        _cpu(resource.RUSAGE_CHILDREN),
        time.perf_counter(),
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(words)
    return Taken(
        _cpu(resource.RUSAGE_SELF) - own,
        _cpu(resource.RUSAGE_CHILDREN) - others,
        time.perf_counter() - begin,
    )


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def measure(rows: int, in_flight: int, processes: int, rounds: int, seed: int) -> dict[str, Any]:
    """Return what a job of *rows* takes with one process and with several."""
    found: dict[int, list[Taken]] = {1: [], processes: []}
    for number in range(rounds):
        for count, jobs in found.items():
            progress(f"round {number + 1}, {count} processes")
            with (
                tempfile.TemporaryDirectory(prefix="ratedispatch-cores-") as name,
                FakeServerProcess("--latency", "0.02", "--latency-sigma", "0") as server,
            ):
                even(rows, seed, tokens=_TOKENS).write(Path(name) / "in.jsonl")
                job = call_in_subprocess(run_job, name, server.base_url, count, in_flight)
                lines = (Path(name) / f"out-{count}.jsonl").read_bytes().count(b"\n")
                if lines != rows:
                    raise RuntimeError(f"{lines:,} of {rows:,} rows were answered")
            jobs.append(job)
    alone = median(job.parent for job in found[1]) / rows
    parent = median(job.parent for job in found[processes]) / rows
    # of those that send, each does its part of the rows
    hand = median(job.children for job in found[processes]) / rows
    walls = {count: median(job.wall for job in jobs) for count, jobs in found.items()}
    return {
        "rows": rows,
        "processes": processes,
        "cores": os.cpu_count(),
        "alone_us": round(1e6 * alone),
        "parent_us": round(1e6 * parent),
        "hand_us": round(1e6 * hand),
        "rows_per_second_alone": round(rows / walls[1]),
        "rows_per_second": round(rows / walls[processes]),
        "times_here": round(walls[1] / walls[processes], 2),
        "times_with_cores": round(alone / max(parent, hand / processes), 2),
    }


def main() -> int:
    """Print what it takes; 0 if it is enough."""
    parser = make_parser(__doc__, repeats=3)
    parser.add_argument("--rows", type=positive, default=60_000, metavar="N")
    parser.add_argument("--in-flight", type=positive, default=200, metavar="N")
    parser.add_argument("--processes", type=positive, default=2, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    took = (arguments.in_flight, arguments.processes, arguments.repeats, arguments.seed)
    result = measure(arguments.rows, *took)
    result["is_on_target"] = result["times_with_cores"] >= _TARGET
    caveat = "with as many cores as processes, and a server elsewhere: reckoned, not run"
    publish(
        arguments,
        surroundings,
        result,
        outline(result),
        caveats=(*LOOPBACK, f"times_with_cores is {caveat}"),
    )
    return 0 if result["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
