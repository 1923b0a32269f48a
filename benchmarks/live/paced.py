"""
A high rate held for a minute by one process, and what its event loop has left.

A job of 30,000 rows a minute, read from a file and written to one, runs in one process, on one
processor; the fake server, whose buckets are a second deep, on another where there is one. A
ticker on the same loop asks for a turn every 5 ms; how late it gets it is the lag. Both processes
keep to their processor by the system's affinity, where it has any.

Run it with ``python -m benchmarks.live.paced [--rpm N] [--seconds N] [--loop NAME] [--runs N]
[--json [FILE]]``. Targets of every run: no refusal, at least 0.99 of the limit between the first
request and the last, and a lag of at most 10 ms at the 99th percentile. The exit code is 1 if one
is missed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import NOTHING, table
from benchmarks.frame.workload import short
from benchmarks.live.parts.subprocess_call import call_in_subprocess
from ratedispatch import Limits, run_file
from ratedispatch.cli import loop as loops
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.transports.bulk import plain_bulk
from ratedispatch.events import AttemptSent
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.events import Event
    from ratedispatch.observe.report import Report

_TICK = 0.005
_LEAST_SHARE = 0.99
_MOST_LAG_MS = 10.0

#: More than the rows need: requests are what binds.
_TPM = 100_000_000
_CONNECTIONS = 2_000

#: What the runs are summed up in, beside the lag.
_SUMMED = ("refused", "limit_share", "cpu_share", "cpu_us_per_request")

#: By line of the text.
_TARGETS = {
    "refused": "0",
    "limit_share": f"≥ {_LEAST_SHARE}",
    "lag_ms 0.99": f"≤ {_MOST_LAG_MS:g}",
}

_CAVEATS = (
    *LOOPBACK,
    "the share may be above 1 by the second that the server's buckets are deep",
)


class Sent:
    """When the first and the last request left, and how many: a listener."""

    def __init__(self) -> None:
        self.count = 0
        self.first = 0.0
        self.last = 0.0

    def __call__(self, event: Event) -> None:
        """Take in *event*."""
        if isinstance(event, AttemptSent):
            self.first = event.at if self.count == 0 else self.first
            self.last = event.at
            self.count += 1


async def tick(lags: list[float]) -> None:
    """Note how many seconds too late each turn comes."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _TICK
        await asyncio.sleep(_TICK)
        lags.append(max(0.0, loop.time() - due))


async def run(folder: Path, rpm: float, base_url: str, lags: list[float]) -> tuple[Report, Sent]:
    """Do the job and return its report and when it sent."""
    sent = Sent()
    bulk = plain_bulk(base_url, "any", _CONNECTIONS, {})
    assert bulk is not None, "a proxy is set; this benchmark needs none"
    async with bulk:
        ticker = asyncio.create_task(tick(lags))
        report = await run_file(
            folder / "in.jsonl",
            folder / "out.jsonl",
            client=bulk,
            limits=Limits(rpm, _TPM),
            listeners=[sent],
            dispatcher_options=DispatcherOptions(connections=_CONNECTIONS),
        )
        ticker.cancel()
    return report, sent


def keep_to(processor: int, pid: int = 0) -> bool:
    """Keep the process *pid* to one of the processors, if there are several; tell whether."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    processors = sorted(os.sched_getaffinity(0)) if pid == 0 else list(range(os.cpu_count() or 1))
    if len(processors) < 2:
        return False
    os.sched_setaffinity(pid, {processors[processor]})
    return True


def measure(rpm: float, seconds: float, seed: int, loop: str) -> dict[str, Any]:
    """Return the figures of one run, whose process keeps to its processor from then on."""
    rows = round(rpm / 60 * seconds)
    flags = ("--rpm", str(rpm), "--tpm", str(_TPM), "--burst-seconds", "1", "--latency", "0.2")
    lags: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ratedispatch-paced-") as name:
        folder = Path(name)
        short(rows, seed).write(folder / "in.jsonl")
        with FakeServerProcess(*flags) as server:
            is_apart = keep_to(1, server.process.pid) and keep_to(0)
            with loops.runner(loop) as runner, loops.seldom_collecting():
                begin = time.process_time()
                report, sent = runner.run(run(folder, rpm, server.base_url, lags))
                cpu = time.process_time() - begin
            stats = server.stats()
    lags.sort()
    span = sent.last - sent.first
    return {
        "rows": rows,
        "answered": report.answered,
        "refused": sum(stats["refused"].values()),
        "limit_share": round((sent.count - 1) / (rpm / 60 * span), 4),
        "seconds": round(span, 2),
        "lag_ms": {
            str(share): round(1000 * lags[int(share * (len(lags) - 1))], 2)
            for share in (0.5, 0.9, 0.99, 0.999, 1.0)
        },
        "cpu_share": round(cpu / span, 3),
        "cpu_us_per_request": round(1e6 * cpu / rows, 1),
        "is_apart": is_apart,
    }


def misses(found: dict[str, Any]) -> list[str]:
    """Return a sentence for each target that is missed."""
    missed = []
    if found["answered"] != found["rows"]:
        missed.append(f"{found['answered']} of {found['rows']} answered")
    if found["refused"]:
        missed.append(f"{found['refused']} refused")
    if found["limit_share"] < _LEAST_SHARE:
        missed.append(f"{found['limit_share']} of the limit, not {_LEAST_SHARE}")
    if found["lag_ms"]["0.99"] > _MOST_LAG_MS:
        missed.append(f"p99 of the lag {found['lag_ms']['0.99']} ms, not {_MOST_LAG_MS}")
    return missed


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the spreads over *runs*, the lag by share of the turns."""
    return {
        **{name: Spread.of([run[name] for run in runs]).as_dict(4) for name in _SUMMED},
        "lag_ms": {
            share: Spread.of([run["lag_ms"][share] for run in runs]).as_dict()
            for share in runs[0]["lag_ms"]
        },
    }


def _text(result: Mapping[str, Any]) -> str:
    summary, runs = result["summary"], result["runs"]
    lines = {name: summary[name] for name in _SUMMED}
    lines |= {f"lag_ms {share}": lag for share, lag in summary["lag_ms"].items()}
    rows = [["", "median", "least", "most", "target"]]
    for name, spread in lines.items():
        rows.append(
            [name, *(f"{value:g}" for value in spread.values()), _TARGETS.get(name, NOTHING)]
        )
    job = f"{runs[0]['rows']:,} rows at {result['rpm']:,.0f} a minute on {result['loop']}"
    missed = [f"missed: {sentence}" for sentence in result["misses"]]
    return "\n".join([f"{job}, {len(runs)} times\n", table(rows), "", *missed])


def main() -> int:
    """Run the benchmark and print its result; return 1 if a target was missed."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("--rpm", type=float, default=30_000, metavar="N")
    parser.add_argument("--seconds", type=float, default=60, metavar="N")
    parser.add_argument("--loop", choices=loops.LOOPS, default=loops.AUTO)
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    loop = loops.loop_named(arguments.loop)
    runs, missed = [], []
    for number in range(1, arguments.repeats + 1):
        # a process that keeps to one processor cannot let go of it for the next run
        run = call_in_subprocess(
            measure, arguments.rpm, arguments.seconds, arguments.seed, arguments.loop
        )
        runs.append({**run, "misses": misses(run)})
        missed += [f"run {number}: {sentence}" for sentence in runs[-1]["misses"]]
        shown = f"{run['limit_share']} of the limit, {run['refused']} refused"
        progress(f"{number}/{arguments.repeats}: {shown}")
    result = {
        "rpm": arguments.rpm,
        "loop": loop,
        "summary": summarise(runs),
        "runs": runs,
        "misses": missed,
    }
    publish(arguments, surroundings, result, _text(result), caveats=_CAVEATS)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
