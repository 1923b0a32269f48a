"""
The same files through what people would use instead, in real time.

Run it with ``python -m benchmarks.peers [NAME ...] [--workload NAME ...] [--runs 1]
[--json [FILE]]``, after ``python -m benchmarks.peers.install``. Runs are interleaved: every peer
once, then every peer again. What is measured, and what is fair about it, stands in ``README.md``.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.tables import NOTHING, table
from benchmarks.live.parts.figures import summarise
from benchmarks.peers.measure import check, measure, start_up_cpu
from benchmarks.peers.places import DEFAULT_FOLDER
from benchmarks.peers.table import NAMES, PEERS
from benchmarks.peers.workloads import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.peers.table import Peer
    from benchmarks.peers.workloads import Task

_TASK_NAMES = tuple(task.name for task in TASKS)

_COLUMNS = (
    ("makespan s", "makespan_s", ".1f"),
    ("ratio", "ratio", ".3f"),
    ("lost", "lost", ",.0f"),
    ("doubled", "doubled", ",.0f"),
    ("refused", "refusals", ",.0f"),
    ("requests/s", "requests_per_s", ",.0f"),
    ("CPU s", "cpu_s", ".1f"),
    ("peak MB", "peak_rss_mb", ".0f"),
)

_CAVEATS = (
    *LOOPBACK,
    "a single run says nothing about the tails",
    "made by the authors of one of the peers: what is fair about it stands in its README",
)


def run_task(
    task: Task, peers: Sequence[Peer], found: dict[str, Any], runs: int, seed: int, folder: Path
) -> dict[str, Any]:
    """Return what *peers* come to with *task*; *found* is what their check said."""
    workload = task.rows(seed)
    told = task.told(workload)
    usable = [peer for peer in peers if found[peer.name]["skipped"] is None]
    start_up: dict[str, float | None] = {}
    if not task.has_limits:
        start_up = {peer.name: start_up_cpu(peer, task, workload, folder) for peer in usable}

    def run(peer: Peer, number: int) -> dict[str, Any]:
        one = measure(peer, task, workload, folder, seed + number)
        shown = f"{one['wall_s']:.1f} s, {one['answered']:,} answered, {one['cpu_s']:.1f} CPU s"
        head = f"{task.name} {number + 1}/{runs} {peer.name}"
        progress(f"{head}: {shown}, {one['refusals']:,} refused")
        return one

    results = interleave({peer.name: partial(run, peer) for peer in usable}, runs)
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


def text_of(found: Mapping[str, Any]) -> str:
    """Return the medians of one workload as a table, with a line for each run that went wrong."""
    rows = [["", *(heading for heading, _, _ in _COLUMNS)]]
    notes = []
    for peer in found["peers"]:
        summary = peer["summary"]
        cells = [
            format(summary[name]["median"], how) if name in summary else NOTHING
            for _, name, how in _COLUMNS
        ]
        rows.append([peer["name"], *cells])
        if peer["skipped"] is not None:
            notes.append(f"{peer['name']} is skipped: {peer['skipped']}")
        for number, run in enumerate(peer["runs"], start=1):
            if run["exit_code"] != 0:
                code = "took too long" if run["exit_code"] is None else f"exit {run['exit_code']}"
                words = f": {run['last_words']}" if run["last_words"] else ""
                notes.append(f"{peer['name']}, run {number}: {code}{words}")
    told = f"{found['rpm']:,} RPM, {found['tpm']:,} TPM, {found['in_flight']:,} in flight"
    head = f"{found['workload']}: {found['rows']:,} rows; everybody is told {told}"
    return "\n".join([head, "", table(rows), *notes])


def main() -> int:
    """Measure what is asked for; the exit code is 1 if no peer but the program could be used."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--workload", action="append", choices=_TASK_NAMES, help="repeatable; default: all"
    )
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if arguments.json in NAMES:
        parser.error(f"--json {arguments.json} would be a file; name the peers first")
    surroundings = environment(arguments.seed)
    folder = arguments.folder.expanduser()
    peers = [peer for peer in PEERS if not arguments.names or peer.name in arguments.names]
    found: dict[str, Any] = {}
    for peer in peers:
        versions, reason = check(peer, folder)
        found[peer.name] = {"versions": versions, "skipped": reason}
        if reason is not None:
            progress(f"{peer.name} is skipped: {reason}")
    tasks = [task for task in TASKS if task.name in (arguments.workload or _TASK_NAMES)]
    workloads = [
        run_task(task, peers, found, arguments.repeats, arguments.seed, folder) for task in tasks
    ]
    # the day alone: it is what the pages say that are made of committed results
    result = {"date": surroundings["date"][:10], "workloads": workloads}
    text = "Medians\n\n" + "\n\n".join(map(text_of, workloads))
    publish(arguments, surroundings, result, text, caveats=_CAVEATS)
    return 0 if any(entry["skipped"] is None for entry in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
