"""
What the program takes beside the least there is, as whole processes.

``ratedispatch run``, with both limits on and far away, and ``bare_loop`` send the same file of
equal requests to the same fake server, which answers after 20 ms, in turn in every round. Measured
are the processor seconds, user and system, of each process from its start to its end: start-up,
reading, counting, sending, writing. The server runs in a process of its own and does not count.
Ratios are taken within a round, so that a change of the machine's speed meets both.

Run it with ``python -m benchmarks.live.overhead [--requests N] [--in-flight N] [--large]
[--headers] [--ways NAME,...] [--rounds N] [--json [FILE]]``. The exit code is 1 if a target was
missed.

Targets: at 6,000 requests and 200 in flight at most 1.6 times the processor seconds of the bare
loop; with ``--large``, 60,000 requests at 500 in flight, at most 1.1 times the processor time a
request of that, and at least 0.65 of the bare loop's requests a second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import table as aligned
from benchmarks.frame.workload import even
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Limits that are on and do not bind.
_FAR = ("--rpm", "100M", "--tpm", "100G")
_LATENCY = ("--latency", "0.02", "--latency-sigma", "0")

#: The most times the bare loop's processor seconds, for figure 1; the most times the processor
#: time of a request of it, and the least share of the bare loop's speed, for figure 2.
_MOST_CPU = 1.6
_MOST_GROWTH = 1.1
_LEAST_SPEED = 0.65

_TOKENS = 200

BARE = "bare"
BARE_UVLOOP = "bare-uvloop"
RUN = "run"
WAYS = (BARE, BARE_UVLOOP, RUN)

#: Heading, figure, which of its spread, and how it is written.
_COLUMNS = (
    ("µs of processor a request", "cpu_us_per_request", "median", ",.0f"),
    ("requests/s", "requests_per_second", "median", ",.0f"),
    ("peak MB", "peak_mb", "median", ".0f"),
    ("speed × {base}", "speed_times_bare", "median", ".2f"),
    ("processor × {base}", "cpu_times_bare", "median", ".2f"),
    ("least", "cpu_times_bare", "least", ".2f"),
    ("most", "cpu_times_bare", "most", ".2f"),
)

_CAVEATS = (
    *LOOPBACK,
    "server and client share the processors: with two of them the server binds the fastest",
)


@dataclass(frozen=True, slots=True)
class Taken:
    """
    What a process has taken.

    Args:
        cpu: Seconds of processor time, user and system.
        wall: Seconds from its start to its end.
        memory: Its largest resident size, in MB.
    """

    cpu: float
    wall: float
    memory: float


def command(way: str, folder: Path, base_url: str, in_flight: int) -> list[str]:
    """Return the command that sends ``in.jsonl`` in *folder* by *way*."""
    files = [str(folder / "in.jsonl"), str(folder / "out.jsonl")]
    most = str(in_flight)
    if way in {BARE, BARE_UVLOOP}:
        loop = "uvloop" if way == BARE_UVLOOP else "asyncio"
        module = [sys.executable, "-m", "benchmarks.live.parts.bare_loop", *files]
        return [*module, "--base-url", base_url, "--in-flight", most, "--loop", loop]
    program = [sys.executable, "-m", "ratedispatch", "run", files[0], "-o", files[1], *_FAR]
    return [*program, "--max-in-flight", most, "--base-url", base_url, "--quiet", "--json"]


def take(
    words: Sequence[str], output: Path, rows: int, variables: Mapping[str, str] | None = None
) -> Taken:
    """
    Run the command *words* to its end and return what it took.

    Args:
        words: The command.
        output: The file that it makes.
        rows: How many lines that has to have.
        variables: Its environment; by default that of this process, and a key.

    Raises:
        RuntimeError: It failed, or *output* has not *rows* lines.
    """
    begin = time.perf_counter()
    env = {**os.environ, "OPENAI_API_KEY": "any"} if variables is None else variables
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=env)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    with output.open("rb") as file:
        lines = sum(1 for _ in file)
    if child.returncode != 0 or lines != rows:
        raise RuntimeError(f"exit code {child.returncode}, {lines} of {rows} lines: {words}")
    return Taken(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


def measure(
    requests: int, in_flight: int, rounds: int, seed: int, ways: Sequence[str], server: list[str]
) -> dict[str, Any]:
    """Return what each of *ways* takes, and its ratios to the bare loop in the same round."""
    with tempfile.TemporaryDirectory(prefix="ratedispatch-overhead-") as name:
        folder = Path(name)
        even(requests, seed, tokens=_TOKENS).write(folder / "in.jsonl")
        with FakeServerProcess(*server, *_LATENCY) as child:

            def run(way: str, number: int) -> Taken:
                for path in folder.glob("out.jsonl*"):
                    path.unlink()
                child.reset()
                words = command(way, folder, child.base_url, in_flight)
                taken = take(words, folder / "out.jsonl", requests)
                shown = f"{taken.cpu:.2f} s of processor, {taken.wall:.2f} s"
                progress(f"{number + 1}/{rounds} {way}: {shown}")
                return taken

            found = interleave({way: partial(run, way) for way in ways}, rounds)
    return {
        "requests": requests,
        "in_flight": in_flight,
        "ways": {way: _figures(runs, found[ways[0]], requests) for way, runs in found.items()},
    }


def _figures(runs: list[Taken], bare: list[Taken], requests: int) -> dict[str, Any]:
    pairs = list(zip(runs, bare, strict=True))
    return {
        "cpu_s": _spread([run.cpu for run in runs]),
        "cpu_us_per_request": _spread([1e6 * run.cpu / requests for run in runs]),
        "wall_s": _spread([run.wall for run in runs]),
        "requests_per_second": _spread([requests / run.wall for run in runs]),
        "peak_mb": _spread([run.memory for run in runs]),
        "cpu_times_bare": _spread([run.cpu / other.cpu for run, other in pairs]),
        "speed_times_bare": _spread([other.wall / run.wall for run, other in pairs]),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return Spread.of(values).as_dict()


def misses(figure: dict[str, Any], base: dict[str, Any] | None) -> list[str]:
    """
    Return a sentence for each target that *figure* misses.

    Args:
        figure: What `measure` returned.
        base: What it returned for the smaller job, if this is the larger one.
    """
    run = figure["ways"][RUN]
    found = []
    if base is None:
        if (ratio := run["cpu_times_bare"]["median"]) > _MOST_CPU:
            found.append(f"{ratio:.2f} times the bare loop's processor time, not {_MOST_CPU}")
        return found
    smaller = base["ways"][RUN]["cpu_us_per_request"]["median"]
    if (growth := run["cpu_us_per_request"]["median"] / smaller) > _MOST_GROWTH:
        found.append(f"{growth:.2f} times the smaller job's time a request, not {_MOST_GROWTH}")
    if (speed := run["speed_times_bare"]["median"]) < _LEAST_SPEED:
        found.append(f"{speed:.2f} of the bare loop's speed, not {_LEAST_SPEED}")
    return found


def table(figure: dict[str, Any]) -> str:
    """Return the medians of *figure* as lines of a table, and the spread of the processor ratio."""
    base = next(iter(figure["ways"]))
    rows = [["", *(heading.format(base=base) for heading, *_ in _COLUMNS)]]
    for way, values in figure["ways"].items():
        rows.append([way, *(format(values[name][part], how) for _, name, part, how in _COLUMNS)])
    return f"{figure['requests']:,} requests, {figure['in_flight']:,} in flight\n{aligned(rows)}"


def ways_of(text: str) -> list[str]:
    """Return the ways that *text* names, between commas; for ``type=`` of a flag."""
    ways = list(dict.fromkeys(text.split(",")))
    if unknown := set(ways) - set(WAYS):
        raise argparse.ArgumentTypeError(
            f"there is no {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}"
        )
    return ways


def main() -> int:
    """Run everything and print it; return 1 if a target was missed."""
    parser = make_parser(__doc__, repeats=3, flag="--rounds")
    parser.add_argument("--requests", type=positive, default=6_000, metavar="N")
    parser.add_argument("--in-flight", type=positive, default=200, metavar="N")
    parser.add_argument("--large", action="store_true", help="also ten times as many, 500 at once")
    parser.add_argument("--headers", action="store_true", help="let answers tell (far) limits")
    parser.add_argument(
        "--ways",
        type=ways_of,
        default=list(WAYS),
        metavar="NAME,...",
        help=f"of {', '.join(WAYS)} (default: all); the first is the base of ratios",
    )
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    ways = arguments.ways
    server = list(_FAR) if arguments.headers else []
    sizes = [(arguments.requests, arguments.in_flight)]
    if arguments.large:
        sizes.append((10 * arguments.requests, 500))
    figures = [
        measure(requests, in_flight, arguments.repeats, arguments.seed, ways, server)
        for requests, in_flight in sizes
    ]
    missed = []
    if ways[0] == BARE and RUN in ways:
        missed = misses(figures[0], None)
        missed += [sentence for figure in figures[1:] for sentence in misses(figure, figures[0])]
    result = {"figures": figures, "rounds": arguments.repeats, "misses": missed}
    text = "\n\n".join(map(table, figures))
    if missed:
        text += "\n\n" + "\n".join(f"missed: {sentence}" for sentence in missed)
    publish(arguments, surroundings, result, text, caveats=_CAVEATS)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
