"""
What a place in the queue costs, by how many wait in it.

Microseconds of processor time for each request, and how many times the cost of the shortest queue
an admission in the longest is, round by round. All wait at once, as after so many calls of
`submit`; then one after another is let through and closed, so that nearly all of them are still
waiting while the first thousand go. Two limits are on and far away, and a few may be in flight.
With `--turns` they have three priorities and five callers, so that the order is more than one line.
`join` is to enter the queue and wait; `admission` is to be granted, woken and settled again, over
the first thousand; `drain` is the same over all. A task for each request is part of them, as it is
part of a call of `submit`.
Targets: an admission costs at most 15 µs, and with the most waiting at most twice what it costs
with the fewest.
Run: python -m benchmarks.micro.queue [--rounds N] [--waiting N ...] [--turns] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.spread import Spread, ratios
from benchmarks.frame.tables import table
from ratedispatch.cli import loop as loops
from ratedispatch.dispatch.permits import LoopAlarm, acquire
from ratedispatch.limits import Limits
from ratedispatch.outcome import Usage
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.pacing.turn import FIRST_COME, Turn
from ratedispatch.request import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TARGET_US = 15.0
TARGET_GROWTH = 2.0

_FIRST = 1_000
_IN_FLIGHT = 8


class Times(NamedTuple):
    """Microseconds of processor time for each request."""

    join: float
    admission: float
    drain: float


def _turn_of(place: int, *, has_turns: bool) -> Turn:
    if not has_turns:
        return FIRST_COME
    return Turn(priority=place % 3, caller=str(place % 5))


async def measure(waiting: int, *, has_turns: bool = False) -> Times:
    """Return what it costs with so many in the queue."""
    budget = LocalBudget(Limits(1e9, 1e12))
    concurrency = FixedLimit(_IN_FLIGHT)
    admission = Admission([Lane(budget, concurrency, rng=random.Random(0))], LoopAlarm())
    admission.hold()
    feedback = Feedback(End.ANSWERED, Usage(150, 40))
    cost = Cost(150, 50)
    done = 0
    marks: list[float] = []
    everybody = asyncio.Event()

    async def pass_through(place: int) -> None:
        nonlocal done
        permit = await acquire(admission, cost, place, _turn_of(place, has_turns=has_turns))
        permit.report(feedback)
        done += 1
        if done in {_FIRST, waiting}:
            marks.append(time.process_time())
        if done == waiting:
            everybody.set()

    gc.collect()
    begin = time.process_time()
    tasks = [asyncio.create_task(pass_through(place)) for place in range(waiting)]
    await asyncio.sleep(0)
    assert admission.snapshot().waiting == waiting
    joined = time.process_time()
    admission.release()
    await everybody.wait()
    first, last = marks[0], marks[-1]
    assert admission.snapshot().waiting == 0
    await asyncio.gather(*tasks)
    return Times(
        1e6 * (joined - begin) / waiting,
        1e6 * (first - joined) / min(_FIRST, waiting),
        1e6 * (last - joined) / waiting,
    )


def measure_in_a_loop(waiting: int, has_turns: bool, _round: int) -> Times:
    """Return the same from a loop of its own, set up as a command does it."""
    with loops.runner(loops.ASYNCIO) as runner, loops.seldom_collecting():
        return runner.run(measure(waiting, has_turns=has_turns))


def summarise(found: Mapping[str, Sequence[Times]]) -> dict[str, Any]:
    """
    Return what the rounds come to, and whether that is on target.

    Args:
        found: The times of each round, by how many waited.
    """
    spreads = {
        waiting: dict(zip(Times._fields, map(Spread.of, zip(*times, strict=True)), strict=True))
        for waiting, times in found.items()
    }
    admissions = {waiting: [one.admission for one in times] for waiting, times in found.items()}
    growth = ratios(admissions, min(found, key=int)).get(max(found, key=int), Spread(1.0, 1.0, 1.0))
    dearest = max(spread["admission"].median for spread in spreads.values())
    return {
        "cpu_us_per_request": {
            waiting: {name: spread.as_dict(2) for name, spread in named.items()}
            for waiting, named in spreads.items()
        },
        "growth": growth.as_dict(2),
        "targets": {"admission_us": TARGET_US, "growth": TARGET_GROWTH},
        "is_on_target": dearest <= TARGET_US and growth.median <= TARGET_GROWTH,
    }


def _text(result: Mapping[str, Any]) -> str:
    lengths, growth = result["cpu_us_per_request"], result["growth"]
    rows = [["waiting", "join µs", "drain µs", "admission µs", "least", "most"]]
    for waiting, figures in lengths.items():
        beside = [f"{figures[name]['median']:.2f}" for name in ("join", "drain")]
        admission = [f"{value:.2f}" for value in figures["admission"].values()]
        rows.append([f"{int(waiting):,}", *beside, *admission])
    times = f"{growth['median']:.2f} ({growth['least']:.2f} to {growth['most']:.2f})"
    verdict = "met" if result["is_on_target"] else "MISSED"
    return (
        f"{table(rows)}\n\n"
        f"An admission with the most waiting takes {times} times what it takes with the fewest.\n"
        f"Targets, an admission of {TARGET_US:g} µs and {TARGET_GROWTH:g} times at most: {verdict}"
    )


def main() -> int:
    """Run everything and print the result; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=5, flag="--rounds", seed=None)
    parser.add_argument(
        "--waiting",
        type=positive,
        nargs="+",
        default=[1_000, 10_000, 100_000],
        metavar="N",
        help="how many wait (default: %(default)s)",
    )
    parser.add_argument("--turns", action="store_true", help="priorities and callers that differ")
    arguments = parser.parse_args()
    surroundings = environment(None)
    lines = {
        str(waiting): partial(measure_in_a_loop, waiting, arguments.turns)
        for waiting in arguments.waiting
    }
    found = interleave(lines, arguments.repeats)
    result = {"rounds": arguments.repeats, **summarise(found)}
    publish(arguments, surroundings, result, _text(result), caveats=[SHARED_MACHINE])
    return 0 if result["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
