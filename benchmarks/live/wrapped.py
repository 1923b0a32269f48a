"""
How fast a wrapped client goes at a limit, and what its caller sees of refusals.

Calls of ``chat.completions.create`` through ``rd.wrap``: the asynchronous client by so many tasks
of one event loop, and the blocking one on so many threads. The fake server is a process of its
own, answers after 50 ms and refuses above its limit of requests, for which its bucket is one
second deep. The bound is the least time in which that server can take so many: what is beyond its
bucket, by its rate, and one answer's time. The clock starts when the client is there and has
listed the models once, which is not limited: what the SDK imports for its first call is not ours.
`refused` is what the server has refused; `failed` is what the caller sees, with the SDK's own
retries switched off.

Targets: at most 1.02 times the bound, and nothing failed, both ways.
Run: python -m benchmarks.live.wrapped [--runs N] [--calls N] [--rpm N] [--tasks N] [--threads N]
[--json [FILE]]
"""

from __future__ import annotations

import asyncio
import operator
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import openai

import ratedispatch as rd
from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.tables import table
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_TIMES = 1.02

_LATENCY = 0.05
_ASK: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Name a river."}],
    "max_tokens": 20,
}


class Taken(NamedTuple):
    """How long it took, and how many calls failed."""

    seconds: float
    failed: int


def in_loop(base_url: str, limits: rd.Limits, calls: int, tasks: int) -> Taken:
    """Send so many *calls* by so many *tasks* of one event loop."""
    left = iter(range(calls))
    failed: list[Exception] = []

    async def main() -> float:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as plain:
            client = rd.wrap(plain, rd.Gate(limits, base_url=base_url))
            create = client.chat.completions.create
            await plain.models.list()

            async def work() -> None:
                for _ in left:
                    try:
                        await create(**_ASK)
                    except openai.OpenAIError as error:
                        failed.append(error)

            begin = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(tasks)))
            return time.perf_counter() - begin

    return Taken(asyncio.run(main()), len(failed))


def in_threads(base_url: str, limits: rd.Limits, calls: int, threads: int) -> Taken:
    """Send so many *calls* on so many *threads*."""
    left = iter(range(calls))
    lock = threading.Lock()
    failed: list[Exception] = []

    with openai.OpenAI(base_url=base_url, api_key="any", max_retries=0) as plain:
        client = rd.wrap(plain, rd.Gate(limits, base_url=base_url))
        create = client.chat.completions.create
        plain.models.list()

        def work() -> None:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                try:
                    create(**_ASK)
                except openai.OpenAIError as error:
                    failed.append(error)

        begin = time.perf_counter()
        crew = [threading.Thread(target=work) for _ in range(threads)]
        for one in crew:
            one.start()
        for one in crew:
            one.join()
        return Taken(time.perf_counter() - begin, len(failed))


def measure(
    calls: int, rpm: int, tasks: int, threads: int, runs: int
) -> dict[str, dict[str, float]]:
    """Return the seconds, the bound and the refusals of both ways, of the median of the *runs*."""
    bound = (calls - rpm / 60) / (rpm / 60) + _LATENCY
    limits = rd.Limits(requests_per_minute=rpm)
    found = {}
    ways: dict[str, Callable[[str], Taken]] = {
        f"{tasks} tasks": lambda url: in_loop(url, limits, calls, tasks),
        f"{threads} threads": lambda url: in_threads(url, limits, calls, threads),
    }
    flags = ["--rpm", str(rpm), "--burst-seconds", "1", "--latency", str(_LATENCY)]
    with FakeServerProcess(*flags, "--latency-sigma", "0") as server:

        def once(way: str, number: int) -> dict[str, float]:
            server.reset()
            seconds, failed = ways[way](server.base_url)
            refused = sum(server.stats()["refused"].values())
            told = f"{seconds:.2f} s, {failed} failed, {refused} refused"
            progress(f"{number + 1}/{runs} {way}: {told}")
            return {
                "times_bound": seconds / bound,
                "seconds": seconds,
                "bound": bound,
                "failed": failed,
                "refused": refused,
            }

        for way, taken in interleave({way: partial(once, way) for way in ways}, runs).items():
            taken.sort(key=operator.itemgetter("times_bound"))
            found[way] = taken[len(taken) // 2]
            found[way]["failed"] = max(one["failed"] for one in taken)
    return found


def misses(found: dict[str, dict[str, float]]) -> list[str]:
    """Return a sentence for each target that is missed."""
    missed = []
    for way, figures in found.items():
        if figures["times_bound"] > MOST_TIMES:
            missed.append(f"{way}: {figures['times_bound']:.3f} times the bound, not {MOST_TIMES}")
        if figures["failed"]:
            missed.append(f"{way}: {figures['failed']:.0f} calls failed")
    return missed


def main() -> int:
    """Run everything and print it; return 1 if a target was missed."""
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument("--calls", type=positive, default=1_500, metavar="N")
    parser.add_argument("--rpm", type=positive, default=3_000, metavar="N")
    parser.add_argument("--tasks", type=positive, default=200, metavar="N")
    parser.add_argument("--threads", type=positive, default=50, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    found = measure(
        arguments.calls, arguments.rpm, arguments.tasks, arguments.threads, arguments.repeats
    )
    missed = misses(found)
    names = ["seconds", "bound", "times_bound", "failed", "refused"]
    rows = [["", "s", "bound", "times", "failed", "refused"]]
    digits = [".2f", ".2f", ".3f", ",.0f", ",.0f"]
    for way, figures in found.items():
        rows.append([way, *(format(figures[n], d) for n, d in zip(names, digits, strict=True))])
    text = "\n".join([table(rows), *(f"missed: {sentence}" for sentence in missed)])
    publish(arguments, surroundings, {"ways": found, "misses": missed}, text, caveats=LOOPBACK)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
