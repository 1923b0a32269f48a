"""
What a place in the line costs, by how many wait in it.

Prints one JSON object: microseconds of processor time for each request, medians over the rounds.
All wait at once, as after so many calls of `submit`; then one after another is let through and
closed, so that nearly all of them are still waiting while the first thousand go. Two limits are
on and far away, and a few may be in flight. `join` is to enter the line and wait;
`admission` is to be granted, woken and settled again, over the first thousand; `drain` is the same
over all. A task for each request is part of them, as it is part of a call of `submit`.
Targets: an admission costs at most 15 µs, and with the most waiting at most twice what it costs
with the fewest.
Run: python -m benchmarks.micro.line [--rounds N] [--waiting N ...]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass

from ratedispatch import loops
from ratedispatch.budget import LocalBudget
from ratedispatch.limits import Limits
from ratedispatch.outcome import Usage
from ratedispatch.request import Cost

TARGET_US = 15.0
TARGET_GROWTH = 2.0

_FIRST = 1_000
_IN_FLIGHT = 8


@dataclass(frozen=True, slots=True)
class Times:
    """Microseconds of processor time for each request."""

    join: float
    admission: float
    drain: float


async def measure(waiting: int) -> Times:
    """Return what it costs with so many in the line."""
    budget = LocalBudget(Limits(1e9, 1e12), _IN_FLIGHT)
    budget.hold()
    usage = Usage(150, 40)
    cost = Cost(150, 50)
    done = 0
    marks: list[float] = []
    everybody = asyncio.Event()

    async def pass_through(place: int) -> None:
        nonlocal done
        permit = await budget.acquire(cost, place)
        budget.settle(permit, usage, answered=True)
        done += 1
        if done in {_FIRST, waiting}:
            marks.append(time.process_time())
        if done == waiting:
            everybody.set()

    gc.collect()
    begin = time.process_time()
    tasks = [asyncio.create_task(pass_through(place)) for place in range(waiting)]
    await asyncio.sleep(0)
    assert budget.snapshot().waiting == waiting
    joined = time.process_time()
    budget.release()
    await everybody.wait()
    first, last = marks[0], marks[-1]
    assert budget.snapshot().waiting == 0
    await asyncio.gather(*tasks)
    return Times(
        1e6 * (joined - begin) / waiting,
        1e6 * (first - joined) / min(_FIRST, waiting),
        1e6 * (last - joined) / waiting,
    )


def _median(times: list[Times], name: str) -> float:
    values: list[float] = [getattr(one, name) for one in times]
    return round(statistics.median(values), 2)


def main() -> None:
    """Run everything and print the result; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="time a place in the line")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--waiting", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    arguments = parser.parse_args()
    found: dict[int, list[Times]] = {waiting: [] for waiting in arguments.waiting}
    for _ in range(arguments.rounds):
        for waiting, times in found.items():
            with loops.runner(loops.ASYNCIO) as runner, loops.seldom_collecting():
                times.append(runner.run(measure(waiting)))
    lengths = {
        waiting: {name: _median(times, name) for name in ("join", "admission", "drain")}
        for waiting, times in found.items()
    }
    costs = [lengths[waiting]["admission"] for waiting in sorted(lengths)]
    growth = round(costs[-1] / costs[0], 2)
    is_on_target = max(costs) <= TARGET_US and growth <= TARGET_GROWTH
    result = {
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processors": os.cpu_count(),
        },
        "rounds": arguments.rounds,
        "cpu_us_per_request": lengths,
        "growth": growth,
        "targets": {"admission_us": TARGET_US, "growth": TARGET_GROWTH},
        "is_on_target": is_on_target,
    }
    print(json.dumps(result, indent=2))
    sys.exit(0 if is_on_target else 1)


if __name__ == "__main__":
    main()
