"""
How the event loop fares when very many calls are made at once, and what is left of them.

So many calls of `Dispatcher.submit` are made at once, in a real event loop, and answered after
50 ms without a network. One in ten is cancelled after a time, one in ten has a deadline that it
cannot keep, each at an instant of its own within the first four fifths of the run; they have
three priorities and four callers. A watchdog on the same loop asks for a turn every 5 ms all the
while and notes by how much it comes late:

- `lag_ms`: by the wall clock, with whatever else the machine did;
- `cpu_ms`: the CPU time of the loop's own thread from one turn of the watchdog to the next.

The turn in which all tasks take their first step is a lag of its own, `first_step_ms`: no program
that makes so many tasks in one go can do without it.
Nothing may be left: each call has its outcome or was cancelled, each reservation of the budget was
reported once, nothing waits or is in flight, and no permit, entry or call is still in memory.
Targets: the 99th percentile of `lag_ms` is at most 20 ms, and nothing is left.
Run: python -m benchmarks.micro.flood [--repeats N] [--calls N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import table
from ratedispatch import Completed, Dispatcher, Limits, LocalBudget, Outcome, Request, Response
from ratedispatch.dispatch.inflight import InFlight
from ratedispatch.pacing.permit import Permit
from ratedispatch.pacing.queue import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch import Cost, Feedback
    from ratedispatch.pacing.budget import NotUntil, Reservation
    from ratedispatch.pacing.feedback import Change

TARGET_MS = 20.0

_PERIOD = 0.005
_LATENCY = 0.05

#: All that is neither cancelled nor late goes within so many seconds.
_SECONDS = 8.0

_BODY = {"choices": [{"text": "hi"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
_FIGURES = ("first_step_ms", "lag_p50_ms", "lag_p99_ms", "cpu_p99_ms", "cpu_most_ms")


class CountingBudget(LocalBudget):
    """A budget that counts what is open."""

    open = 0

    def reserve(self, cost: Cost, now: float, speed: float = 1.0) -> Reservation | NotUntil:
        """Count what was reserved."""
        reserved = super().reserve(cost, now, speed)
        self.open += hasattr(reserved, "amounts")
        return reserved

    def report(
        self, reservation: Reservation, feedback: Feedback, now: float, **rest: Any
    ) -> Sequence[Change]:
        """Count what was reported."""
        self.open -= 1
        return super().report(reservation, feedback, now, **rest)


class Canned:
    """A transport that always has the same answer."""

    async def send(self, request: Request, timeout: float) -> Response:
        """Answer *request*."""
        del request, timeout
        await asyncio.sleep(_LATENCY)
        return Response(200, {}, _BODY)


class Watchdog:
    """Asks for a turn again and again; the lateness and the CPU time of each in milliseconds."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.cpus: list[float] = []
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _run(self) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(_PERIOD)
            wall_now, cpu_now = time.perf_counter(), time.thread_time()
            self.lags.append(1e3 * max(0.0, wall_now - wall - _PERIOD))
            self.cpus.append(1e3 * (cpu_now - cpu))
            wall, cpu = wall_now, cpu_now


def request_of(number: int) -> Request:
    """Return one of the requests."""
    messages = [{"role": "user", "content": f"question {number} of the many"}]
    return Request.chat(model="gpt-4o", messages=messages, max_tokens=16)


async def flood(calls: int, seed: int, seconds: float = _SECONDS) -> dict[str, Any]:
    """Return what so many *calls* at once come to."""
    rng = random.Random(f"flood {seed}")
    rate = calls * 0.8 / seconds
    limits = Limits(rate * 60, burst_seconds=0)
    budget = CountingBudget(limits)
    dispatcher = Dispatcher(
        Canned(), limits, budget=budget, rng=rng, max_in_flight=10_000, weights={"a": 3.0}
    )
    await dispatcher.submit(request_of(-1))  # what is loaded once
    watchdog = Watchdog()
    await asyncio.sleep(10 * _PERIOD)
    tasks: list[asyncio.Task[Outcome]] = []
    leaving = []
    for number in range(calls):
        kind = number % 10
        turn: dict[str, Any] = {"priority": rng.randrange(3), "caller": rng.choice("abcd")}
        if kind == 9:  # behind all the others, and so never in time
            turn = {"priority": -1, "deadline": rng.uniform(0.1, 0.8) * seconds}
        elif kind == 1:
            turn["priority"] = -2
        tasks.append(asyncio.create_task(dispatcher.submit(request_of(number), **turn)))
        if kind == 1:
            leaving.append(tasks[-1])
    loop = asyncio.get_running_loop()
    for task in leaving:
        loop.call_later(rng.uniform(0.1, 0.8) * seconds, task.cancel)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    watchdog.stop()
    state = dispatcher.snapshot()
    ends = Counter(_end_of(outcome) for outcome in outcomes)
    del outcomes, tasks, leaving
    return {
        "ends": dict(ends),
        "left": {"open": budget.open, "waiting": state.waiting, "in_flight": state.in_flight},
        **_lateness(watchdog),
    }


def _lateness(watchdog: Watchdog) -> dict[str, float]:
    first = max(range(len(watchdog.lags)), key=lambda turn: watchdog.cpus[turn])
    lags, cpus = list(watchdog.lags), list(watchdog.cpus)
    found = {"first_step_ms": cpus.pop(first)}
    del lags[first]
    lags.sort()
    cpus.sort()
    last = len(lags) - 1
    return {
        **found,
        "lag_p50_ms": lags[last // 2],
        "lag_p99_ms": lags[round(last * 0.99)],
        "cpu_p99_ms": cpus[round(last * 0.99)],
        "cpu_most_ms": cpus[last],
    }


def _end_of(outcome: Outcome | BaseException) -> str:
    if isinstance(outcome, asyncio.CancelledError):
        return "cancelled"
    if isinstance(outcome, BaseException):
        return type(outcome).__name__
    return "answered" if isinstance(outcome, Completed) else outcome.code


def alive() -> int:
    """Return how many permits, entries of queues and calls there are in memory."""
    gc.collect()
    return sum(isinstance(one, Permit | Entry | InFlight) for one in gc.get_objects())


def run(calls: int, seed: int, seconds: float = _SECONDS) -> dict[str, Any]:
    """Return the figures of one flood, in an event loop of its own."""
    before = alive()
    found = asyncio.run(flood(calls, seed, seconds))
    found["left"]["objects"] = alive() - before
    return found


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the *runs* come to, and whether that is on target."""
    spreads = {name: Spread.of([one[name] for one in runs]) for name in _FIGURES}
    is_clean = not any(any(one["left"].values()) for one in runs)
    return {
        "ends": [one["ends"] for one in runs],
        "left": [one["left"] for one in runs],
        **{name: spread.as_dict(2) for name, spread in spreads.items()},
        "target_ms": TARGET_MS,
        "is_on_target": is_clean and spreads["lag_p99_ms"].median <= TARGET_MS,
    }


def _text(found: dict[str, Any]) -> str:
    rows = [["figure", "median", "least", "most"]]
    rows += [[name, *(f"{value:.1f}" for value in found[name].values())] for name in _FIGURES]
    ends = ", ".join(f"{count:,} {end}" for end, count in found["ends"][0].items())
    left = ", ".join(f"{count:,} {what}" for what, count in found["left"][0].items())
    verdict = "met" if found["is_on_target"] else "MISSED"
    return f"{table(rows)}\n\nEnds: {ends}.\nLeft: {left}.\nTargets: {verdict}"


def main() -> int:
    """Run everything and print the result; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=3, seed=0)
    parser.add_argument(
        "--calls", type=positive, default=20_000, metavar="N", help="default: %(default)s"
    )
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    runs = [run(arguments.calls, arguments.seed + n) for n in range(arguments.repeats)]
    found = {"calls": arguments.calls, **summarise(runs)}
    publish(arguments, surroundings, found, _text(found), caveats=[SHARED_MACHINE])
    return 0 if found["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
