"""
A Ray dataset sent by two actors on one limit, and the same with one of them killed.

The cluster is a real one of this machine, and the fake server a process of its own, with a bucket
of one second. Seconds are those from the first request at the server to its last answer; those
before, in which Ray starts the actors, are told beside them. Needs the extra ``ray``.
Targets: nothing refused, failed or lost, at most 1.05 times what the limit allows; with an actor
killed in the middle every row once, and no more sent again than it had in flight.
Run: python -m benchmarks.live.ray_map [--runs N] [--rows N] [--rpm N] [--actors N]
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ratedispatch as rd
from benchmarks.frame.bounds import Allowance
from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

#: Median seconds of an answer.
LATENCY = 0.2

#: Of what the limit allows.
MOST = 1.05

ROUNDS = ("whole", "killed")


def asking(
    round_name: str, base_url: str, rows: int, marker: str
) -> Callable[[Mapping[str, Any]], rd.Request]:
    """Return what makes the request of a row; in one round the first process to call it dies."""

    def die_in_the_middle() -> None:
        while True:
            time.sleep(0.02)
            with urllib.request.urlopen(f"{base_url}/_stats") as answer:
                if json.load(answer)["arrived"] >= rows // 2:
                    os.kill(os.getpid(), signal.SIGKILL)

    def request(row: Mapping[str, Any]) -> rd.Request:
        if round_name == "killed":
            with contextlib.suppress(FileExistsError):
                Path(marker).touch(exist_ok=False)
                threading.Thread(target=die_in_the_middle, daemon=True).start()
        text = f"Say the number {row['id']}."
        return rd.Request.chat(
            model="gpt-4.1-mini", messages=[{"role": "user", "content": text}], max_tokens=20
        )

    return request


def play(round_name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of a round."""
    import ray.data

    rows, rpm = arguments.rows, arguments.rpm
    flags = ["--rpm", str(rpm), "--burst-seconds", "1", "--latency", str(LATENCY)]
    with tempfile.TemporaryDirectory() as folder, FakeServerProcess(*flags) as server:
        request = asking(round_name, server.base_url, rows, str(Path(folder) / "killed"))
        dataset = ray.data.range(rows)
        began = time.perf_counter()
        asked = rd.ray.map(
            dataset,
            request=request,
            limits=rd.Limits(rpm),
            base_url=server.base_url,
            actors=arguments.actors,
        )
        found = asked.take_all()
        seconds = time.perf_counter() - began
        stats = server.stats()
    bound = Allowance(rpm / 60, rpm / 60, latency=LATENCY).lower_bound(rows, 0.0)
    ids = [row["id"] for row in found]
    return judged(
        round_name,
        {
            "seconds": round(stats["makespan"], 2),
            "bound": round(bound, 2),
            "ratio": round(stats["makespan"] / bound, 4),
            "start": round(seconds - stats["makespan"], 2),
            "refused": sum(stats["refused"].values()),
            "failed": sum(row["answer"] is None for row in found),
            "lost": rows - len(set(ids)),
            "twice": len(ids) - len(set(ids)),
            "in_flight": stats["in_flight_peak"],
            "sent_again": stats["arrived"] - sum(stats["refused"].values()) - rows,
        },
    )


def judged(round_name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return *found* with whether its targets are met."""
    nothing = ["failed", "lost", "twice"]
    if round_name == "whole":
        nothing += ["refused", "sent_again"]
    is_met = found["ratio"] <= MOST or round_name != "whole"
    is_met &= found["sent_again"] <= found["in_flight"]
    return {**found, "is_on_target": is_met and not any(found[name] for name in nothing)}


def show(rounds: dict[str, dict[str, Any]]) -> str:
    """Return a table for a person."""
    columns = (
        "seconds",
        "bound",
        "ratio",
        "start",
        "refused",
        "failed",
        "lost",
        "in_flight",
        "sent_again",
    )
    lines = [f"{'round':8}" + "".join(f"{name:>12}" for name in columns)]
    for name, by_run in rounds.items():
        lines += [
            f"{name:8}" + "".join(f"{one[column]:>12}" for column in columns)
            for one in by_run.values()
        ]
    return "\n".join(lines)


def main() -> int:
    """Print the figures; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=1, flag="--runs", seed=None)
    parser.add_argument("--rows", type=positive, default=1_500, help="default: %(default)s")
    parser.add_argument("--rpm", type=positive, default=3_000, help="default: %(default)s")
    parser.add_argument("--actors", type=positive, default=2, help="default: %(default)s")
    parser.add_argument("--only", choices=ROUNDS, help="one of the rounds")
    arguments = parser.parse_args()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OPENAI_API_KEY": "key-of-the-fake-server"}
    try:
        import ray
        import ray.data
    except ImportError:
        progress("Ray is not installed: pip install 'ray[data]'")
        return 1
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    found: dict[str, Any] = {"ray": ray.__version__, "rounds": {name: {} for name in ROUNDS}}
    for run in range(arguments.repeats):
        for name in ROUNDS if arguments.only is None else (arguments.only,):
            found["rounds"][name][str(run)] = one = play(name, arguments)
            progress(f"{run + 1}/{arguments.repeats} {name}: {one['ratio']:.4f} of the bound")
    single = [one for by_run in found["rounds"].values() for one in by_run.values()]
    found["is_on_target"] = all(one["is_on_target"] for one in single)
    publish(arguments, environment(None), found, show(found["rounds"]), caveats=LOOPBACK)
    return 0 if found["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
