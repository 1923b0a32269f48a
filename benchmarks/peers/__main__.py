"""
The same files through what people would use instead, in real time.

Run it with ``python -m benchmarks.peers [NAME ...] [--workload NAME ...] [--runs 1]
[--json FILE]``, after ``python -m benchmarks.peers.install``. Runs are interleaved: every peer
once, then every peer again. What is measured, and what is fair about it, stands in ``README.md``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.environment import environment
from benchmarks.live.figures import summarise
from benchmarks.peers.measure import check, measure, start_up_cpu
from benchmarks.peers.places import DEFAULT_FOLDER
from benchmarks.peers.table import NAMES, PEERS
from benchmarks.peers.workloads import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.peers.table import Peer
    from benchmarks.peers.workloads import Task

_TASK_NAMES = tuple(task.name for task in TASKS)


def run_task(
    task: Task, peers: Sequence[Peer], found: dict[str, Any], runs: int, seed: int, folder: Path
) -> dict[str, Any]:
    """Return what *peers* come to with *task*; *found* is what their check said."""
    workload = task.rows(seed)
    told = task.told(workload)
    usable = [peer for peer in peers if found[peer.name]["skipped"] is None]
    results: dict[str, list[dict[str, Any]]] = {peer.name: [] for peer in usable}
    start_up: dict[str, float | None] = {}
    if not task.has_limits:
        start_up = {peer.name: start_up_cpu(peer, task, workload, folder) for peer in usable}
    for number in range(runs):
        for peer in usable:
            run = measure(peer, task, workload, folder, seed + number)
            results[peer.name].append(run)
            shown = f"{run['wall_s']:.1f} s, {run['answered']:,} answered, {run['cpu_s']:.1f} CPU s"
            head = f"{task.name} {number + 1}/{runs} {peer.name}"
            print(f"{head}: {shown}, {run['refusals']:,} refused", file=sys.stderr, flush=True)
    return {
        "workload": task.name,
        "rows": len(workload.rows),
        "tokens": workload.tokens,
        "rpm": told.rpm,
        "tpm": told.tpm,
        "in_flight": told.in_flight,
        "server": task.server(workload, seed),
        "time_limit_s": round(task.time_limit(workload), 1),
        "peers": [
            {
                "name": peer.name,
                "title": peer.title,
                **found[peer.name],
                "start_up_cpu_s": start_up.get(peer.name),
                "summary": summarise(results[peer.name]) if peer.name in results else {},
                "runs": results.get(peer.name, []),
            }
            for peer in peers
        ],
    }


def main() -> int:
    """Measure what is asked for; the exit code is 1 if no peer but the program could be used."""
    parser = argparse.ArgumentParser(description="the same files through other programs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--workload", action="append", choices=_TASK_NAMES, help="repeatable; default: all"
    )
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    folder = arguments.folder.expanduser()
    peers = [peer for peer in PEERS if not arguments.names or peer.name in arguments.names]
    found: dict[str, Any] = {}
    for peer in peers:
        versions, reason = check(peer, folder)
        found[peer.name] = {"versions": versions, "skipped": reason}
        if reason is not None:
            print(f"{peer.name} is skipped: {reason}", file=sys.stderr, flush=True)
    tasks = [task for task in TASKS if task.name in (arguments.workload or _TASK_NAMES)]
    report = {
        **environment(arguments.seed),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "workloads": [
            run_task(task, peers, found, arguments.runs, arguments.seed, folder) for task in tasks
        ],
    }
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    if arguments.json is None:
        print(text, end="")
    else:
        arguments.json.write_text(text, encoding="utf-8")
    return 0 if any(entry["skipped"] is None for entry in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
