"""
How far off the time that is left is, as ``run`` shows it, in jobs drawn at random.

Runs each job from a file in virtual time, with the real dispatcher against the fake provider, and
reads the meter of the progress display each second from the fifth on.

Run: python -m benchmarks.sim.eta [--jobs N] [--seed N] [--only K] [--trace] [--json [FILE]]
The exit code is 1 if any is further off than wanted.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.drawn_jobs import drawn_jobs
from benchmarks.frame.environment import environment
from benchmarks.frame.looks import MOST_OFF, Look, Watched
from benchmarks.frame.tables import table
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.jobs.job import Job
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.state.paths import JobFiles
from ratedispatch.limits import Limits
from ratedispatch.observe.status import Meter
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.transport import ProviderTransport

if TYPE_CHECKING:
    from benchmarks.frame.drawn_jobs import DrawnJob


def watch(drawn: DrawnJob, folder: Path, seed: int = 1) -> Watched:
    """Run *drawn* in *folder*, and return what was shown of it."""
    files = JobFiles(folder / "in.jsonl", folder / "out.jsonl", folder / "errors.jsonl")
    drawn.write(folder / "in.jsonl")
    limits = Limits(requests_per_minute=drawn.rpm, tokens_per_minute=drawn.tpm)

    async def main() -> Watched:
        job = Job(files, limits, JobOptions(order=drawn.order, fsync="never"))
        loop = asyncio.get_running_loop()
        begin = loop.time()
        looks: list[Look] = []

        async def look() -> None:
            meter = Meter(job)
            while True:
                meter.read()
                await asyncio.sleep(1.0)
                looks.append(Look(loop.time() - begin, meter.read().eta))

        task = asyncio.create_task(look())
        options = DispatcherOptions(rng=random.Random(seed), cpu_clock=float)
        transport = ProviderTransport(drawn.settings, random.Random(seed))
        await job.run(transport, dispatcher_options=options)
        task.cancel()
        return Watched(drawn.number, str(drawn), loop.time() - begin, tuple(looks))

    return run_virtual(main())


def main() -> int:
    """Watch the jobs, print what was off, and return the exit code."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("--jobs", type=int, default=30, metavar="N", help="how many jobs")
    parser.add_argument("--only", type=int, metavar="K", help="the job with this number alone")
    parser.add_argument("--trace", action="store_true", help="print what was shown each second")
    asked = parser.parse_args()
    surroundings = environment(asked.seed)
    found = []
    for drawn in drawn_jobs(asked.jobs, asked.seed):
        if asked.only not in {None, drawn.number}:
            continue
        progress(f"job {drawn.number}: {drawn}")
        with tempfile.TemporaryDirectory() as folder:
            watched = watch(drawn, Path(folder))
        found.append(watched)
        if asked.trace:
            for second, eta in watched.looks:
                shown = "-" if eta is None else f"{eta:.1f}"
                progress(f"  {second:5.1f} s: shown {shown}, left {watched.seconds - second:.1f}")
    heads = ["job", "s", "end off", "rest off", "what"]
    rows = [
        [str(one.number), f"{one.seconds:.1f}", f"{one.off:.1%}", f"{one.off_left:.1%}", one.text]
        for one in found
    ]
    worst = max(one.off for one in found)
    results = {"jobs": [one._asdict() for one in found], "worst": worst}
    publish(asked, surroundings, results, table([heads, *rows]))
    return int(worst > MOST_OFF)


if __name__ == "__main__":
    sys.exit(main())
