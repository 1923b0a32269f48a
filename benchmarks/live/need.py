"""
How much the program opens and takes where its limits are far above what it needs.

``ratedispatch run`` with default flags and limits that do not bind, on one core, and the bare loop
with 200 in flight, in turn in every round. The fake server answers after 20 ms, on the other
cores.

Targets: at most 300 connections at once, 135 MB, and 1.5 times the processor seconds of the bare
loop, as medians.
Run: python -m benchmarks.live.need [--requests N] [--rounds N] [--json [FILE]]
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import table
from benchmarks.frame.workload import even
from benchmarks.live.overhead import BARE, RUN, Taken, command, take
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The most connections, MB, and times the bare loop's processor seconds.
TARGETS = {"connections": 300.0, "peak_mb": 135.0, "cpu_times_bare": 1.5}

_BARE_IN_FLIGHT = 200
_LATENCY = ("--latency", "0.02", "--latency-sigma", "0")
_TOKENS = 200


def on_one_core(words: list[str], core: int) -> list[str]:
    """Return the command that runs *words* on *core* alone, where the system lets one choose."""
    if not hasattr(os, "sched_setaffinity"):
        return words
    begin = (
        f"import os, sys; os.sched_setaffinity(0, {{{core}}}); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", begin, *words]


def by_default(words: list[str]) -> list[str]:
    """Return the command *words* without a number in flight."""
    at = words.index("--max-in-flight")
    return [*words[:at], *words[at + 2 :]]


def measure(requests: int, rounds: int, seed: int) -> dict[str, Any]:
    """Return the spread of each figure."""
    peaks: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ratedispatch-need-") as name:
        folder = Path(name)
        even(requests, seed, tokens=_TOKENS).write(folder / "in.jsonl")
        with FakeServerProcess(*_LATENCY) as server:

            def run(way: str, number: int) -> Taken:
                for path in folder.glob("out.jsonl*"):
                    path.unlink()
                server.reset()
                words = command(way, folder, server.base_url, _BARE_IN_FLIGHT)
                words = by_default(words) if way == RUN else words
                taken = take(on_one_core(words, 0), folder / "out.jsonl", requests)
                if way == RUN:
                    peaks.append(server.stats()["connections_peak"])
                progress(f"{number + 1}/{rounds} {way}: {taken.cpu:.2f} s of processor")
                return taken

            found = interleave({way: partial(run, way) for way in (BARE, RUN)}, rounds)
    pairs = zip(found[RUN], found[BARE], strict=True)
    return {
        "requests": requests,
        "connections": Spread.of(peaks).as_dict(),
        "peak_mb": Spread.of([one.memory for one in found[RUN]]).as_dict(),
        "cpu_times_bare": Spread.of([one.cpu / other.cpu for one, other in pairs]).as_dict(),
    }


def misses(found: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each target whose median is missed."""
    return [
        f"missed: {name} {found[name]['median']:.4g}, not {most:g}"
        for name, most in TARGETS.items()
        if found[name]["median"] > most
    ]


def show(found: Mapping[str, Any]) -> str:
    """Return a line for each figure, and what is missed."""
    rows = [["", "median", "least", "most", "target"]]
    for name, most in TARGETS.items():
        values = [format(found[name][part], ".4g") for part in ("median", "least", "most")]
        rows.append([name, *values, f"{most:g}"])
    return "\n".join([f"{found['requests']:,} requests", table(rows), *misses(found)])


def main() -> int:
    """Measure and print; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=5, flag="--rounds")
    parser.add_argument("--requests", type=positive, default=6_000, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    found = measure(arguments.requests, arguments.repeats, arguments.seed)
    publish(arguments, surroundings, found, show(found), caveats=LOOPBACK)
    return 1 if misses(found) else 0


if __name__ == "__main__":
    sys.exit(main())
