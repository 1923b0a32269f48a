"""
Ways to find the number in flight, against servers that do not say how many they serve.

Each way starts with 8 and sends a file in virtual time. It is held against the best fixed number:
the smallest that has nearly the throughput of the best. What is wanted is 95 % of its throughput,
the search included, at 1.5 times its median latency at most.

Run: python -m benchmarks.sim.search [--runs N] [--seed N] [--only TEXT] [--json [FILE]]
The exit code is 1 if the program's own way misses what is wanted.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from benchmarks.sim.model_server import ModelServer, play
from benchmarks.sim.rivals import Aimd, Gradient
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.concurrency.limit import FixedLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.sim.model_server import Served
    from ratedispatch.pacing.concurrency.limit import ConcurrencyLimit

#: The program's own way, first; every one starts with 8 and may open 1,000.
OWN = "pairs"
WAYS: dict[str, Callable[[], ConcurrencyLimit]] = {
    OWN: partial(AdaptiveLimit, start=8, most=1000),
    "aimd": partial(Aimd, start=8, most=1000),
    "gradient": partial(Gradient, start=8, most=1000),
}

#: What is wanted of a way: the share of the throughput, and times the median latency.
LEAST_SHARE = 0.95
MOST_TIMES = 1.5

#: A fixed number is as good as the best from this share of its throughput on.
_AS_GOOD = 0.98

#: Requests for each place: enough that the first doublings are a small part of a job, as they are
#: where a search matters.
_ROWS_PER_PLACE = 100
_FEWEST_ROWS = 800


@dataclass(frozen=True, slots=True)
class Case:
    """A server, and what is special about it."""

    name: str
    server: ModelServer

    @property
    def rows(self) -> int:
        """How many requests are sent."""
        return max(_FEWEST_ROWS, _ROWS_PER_PLACE * self.server.places)


CASES: tuple[Case, ...] = (
    *(Case(f"{places} places", ModelServer(places)) for places in (1, 4, 16, 64, 256)),
    Case("4 places, scattered", ModelServer(4, sigma=0.8)),
    Case("64 places, scattered", ModelServer(64, sigma=0.8)),
    Case("batching", ModelServer(64, batching=3.0)),
    Case("refuses at once", ModelServer(16, queue=0)),
    Case("refuses after 2 s", ModelServer(16, patience=2.0)),
    Case("refuses beyond a queue", ModelServer(16, queue=8)),
)


def best_of(case: Case, seed: int) -> tuple[int, Served]:
    """Return the smallest fixed number with nearly the best throughput, and what comes of it."""
    places = case.server.places
    numbers = sorted({max(1, round(places * times)) for times in (0.5, 0.75, 1, 1.25, 1.5, 2)})
    is_bounded = case.server.queue == 0
    runs = {
        number: play(case.server, FixedLimit(number), case.rows, seed)
        for number in numbers
        if not is_bounded or number <= places
    }
    most = max(run.per_second for run in runs.values())
    return next((n, run) for n, run in runs.items() if run.per_second >= _AS_GOOD * most)


def measure(case: Case, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the figures of every way on one server."""
    found: dict[str, list[Served]] = {name: [] for name in WAYS}
    best = []
    for seed in seeds:
        best.append(best_of(case, seed))
        for name, make in WAYS.items():
            found[name].append(play(case.server, make(), case.rows, seed))
    return {
        "best": statistics.median(number for number, _ in best),
        "ways": {
            name: {
                "throughput": _median(
                    run.per_second / fixed.per_second
                    for run, (_, fixed) in zip(runs, best, strict=True)
                ),
                "p50": _median(
                    run.latency(0.5) / fixed.latency(0.5)
                    for run, (_, fixed) in zip(runs, best, strict=True)
                ),
                "refused": _median(run.refused / case.rows for run in runs),
                "peak": max(run.peak for run in runs),
            }
            for name, runs in found.items()
        },
    }


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 4)


def is_met(figures: dict[str, float]) -> bool:
    """Return whether a way has the throughput at the latency that is wanted."""
    return figures["throughput"] >= LEAST_SHARE and figures["p50"] <= MOST_TIMES


def show(results: dict[str, dict[str, Any]]) -> str:
    """Return a table with a line for each server, and a column for each figure of each way."""
    rows = [
        ["server", "best", *(f"{way} {name}" for way in WAYS for name in ("thr", "p50", "ref"))]
    ]
    for case, result in results.items():
        cells = [case, f"{result['best']:g}"]
        for figures in result["ways"].values():
            mark = "" if is_met(figures) else "!"
            cells += [
                f"{figures['throughput']:.3f}{mark}",
                f"{figures['p50']:.2f}",
                f"{figures['refused']:.2%}",
            ]
        rows.append(cells)
    return table(rows)


def main(words: Sequence[str] | None = None) -> int:
    """Try every way on every server; return 1 if the program's own misses what is wanted."""
    parser = make_parser(__doc__, repeats=5, flag="--runs")
    parser.add_argument("--only", default="", metavar="TEXT", help="servers with it in their names")
    arguments = parser.parse_args(words)
    surroundings = environment(arguments.seed)
    seeds = range(arguments.seed, arguments.seed + arguments.repeats)
    results = {}
    for case in CASES:
        if arguments.only in case.name:
            progress(case.name)
            results[case.name] = measure(case, seeds)
    publish(arguments, surroundings, {"servers": results}, show(results), caveats=())
    return 0 if all(is_met(result["ways"][OWN]) for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
