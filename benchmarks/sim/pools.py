"""
How much a pool gets of what its living members allow, while one stops and one is down.

Virtual time, the engine itself, and three fake providers with 600, 1,200 and 3,000 requests a
minute, buckets one second deep, and answers after about half a second. In the middle of the job the
first one has spent its quota, for good; from the 10th to the 30th second the second one answers
502. Each alone, both, and neither.
What is allowed is the sum of the rates of those that live, second by second, and their buckets
once. `used` is the share of that at the end of the job, `lowest` the smallest at any second from
the 15th on. A referee of all three counts what was answered twice; what was not answered is lost.
Targets: at least 97 % is used, nothing is lost, and nothing is answered twice.
Run: python -m benchmarks.sim.pools [--runs N] [--seed N] [--rows N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

from benchmarks.frame.command import make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.pool_rounds import (
    LATENCY,
    OUTAGE,
    QUOTA,
    ROUNDS,
    ROWS,
    RPM,
    STRUCK,
    judge,
    requests,
    show,
)
from ratedispatch import AttemptEnded, Completed, Dispatcher, Limits, Member, Pool
from ratedispatch.simulate.referee import Referee
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual

#: What befalls a member, as settings of its provider.
_SETTINGS: dict[str, dict[str, Any]] = {
    "quota": {"quota_time": QUOTA},
    "outage": {"fault_times": ((OUTAGE[0], OUTAGE[1] - OUTAGE[0], "html"),)},
}


def play(round_name: str, seed: int, rows: int = ROWS) -> dict[str, Any]:
    """Send *rows* by the pool; return the figures."""
    settings: dict[str, dict[str, Any]] = {name: {} for name in RPM}
    for fault in ROUNDS[round_name]:
        settings[STRUCK[fault][0]] = _SETTINGS[fault]
    wasted = 0

    def listen(event: object) -> None:
        nonlocal wasted
        if isinstance(event, AttemptEnded) and event.decision.value != "answered":
            wasted += 1

    async def send() -> tuple[list[float], int]:
        loop = asyncio.get_running_loop()
        begin, overseer = loop.time(), Referee.of_all(loop.time())
        members = []
        for name, rpm in RPM.items():
            provider = ProviderSettings(
                rpm, burst_seconds=1.0, latency=LATENCY, latency_sigma=0.1, **settings[name]
            )
            rng = random.Random(f"{seed} {name}")
            transport = ProviderTransport(provider, rng, overseer=overseer)
            members.append(Member(transport, Limits(rpm), name))
        rng = random.Random(seed)
        answers: list[float] = []
        async with Dispatcher(Pool(members), listeners=[listen], rng=rng) as dispatcher:
            async for outcome in dispatcher.map(requests(rows)):
                if isinstance(outcome, Completed):
                    answers.append(loop.time() - begin)  # noqa: PERF401
        return answers, overseer.report()["answered_twice"]

    answers, twice = run_virtual(send())
    return judge(answers, round_name, rows, twice, wasted)


def measure(seeds: range, rows: int) -> dict[str, Any]:
    """Return the figures of all rounds, by seed."""
    found = {name: {str(seed): play(name, seed, rows) for seed in seeds} for name in ROUNDS}
    single = [one for by_seed in found.values() for one in by_seed.values()]
    return {"rounds": found, "is_on_target": all(one["is_on_target"] for one in single)}


def main() -> int:
    """Print the figures; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument("--rows", type=positive, default=ROWS, help="default: %(default)s")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.repeats)
    found = measure(seeds, arguments.rows)
    publish(arguments, environment(arguments.seed), found, show(found))
    return 0 if found["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
