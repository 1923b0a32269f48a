"""
The model of a queue beside the whole engine, on jobs drawn at random.

Both play the same rows with the same seed, which draws the same latencies and faults, so what they
differ by is the model's error and not chance. Drawn are rows and their sizes (fixed, log-normal,
sorted), the limit that binds, the depth of the provider's buckets (0.5 to 60 s), latencies (0.05
to 10 s) and what they have of the length of the answer, the order of reading, up to 2 % faults,
what is given back, places at the server and bounds of what is in flight.
At most 1 % of the time may lie between them, and what held the job back longest must be the same;
where two causes held it back equally long, within 5 % of the time, either is. What follows a
refusal may turn on a microsecond, which answer comes first: a job that misses with one seed is
played with four more, and the mean times of all five are compared.

Run: python -m benchmarks.sim.modelled [JOB ...] [--jobs N] [--seed N] [--json]
The exit code is 1 if one of them misses.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT
from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.queue_model import play_model
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.forecast.unmodelled import knows
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.simulate.forecast.course import Course

JOBS = 50
ROWS = (600, 1_000, 1_500, 2_500, 4_000)

#: The most that may lie between the two, as a share of the time.
MOST = 0.01

#: Seeds whose mean is taken where one misses.
SEEDS = 5

#: The share of the time up to which two causes held a job back equally long.
_ALIKE = 0.05

#: Faults that are drawn; a request that is never answered is not modelled.
_FAULTS = ("500", "503", "429", "html", "html200", "reset", "disconnect", "truncate", "slow_down")

_CAVEATS = ("computing takes no time on either side",)


class Job(NamedTuple):
    """A job that was drawn: its rows, what it meets, and both in words."""

    workload: Workload
    scene: Scene
    words: str


def draw_job(number: int, rows: int | None = None) -> Job:
    """Return the job with *number*, with so many *rows* unless they are drawn, too."""
    rng = random.Random(f"modelled {number}")
    drawn = rng.choice(ROWS)
    count = rows or drawn
    seconds = rng.uniform(60, 400) * count / drawn
    mean, kind = (
        rng.choice((60, 200, 600, 2_000)),
        rng.choice(("fixed", "drawn", "drawn", "sorted")),
    )
    workload, tokens = _rows(rng, count, mean, kind)
    limits, bound = _limits(rng, count, tokens, seconds)
    latency = math.exp(rng.uniform(math.log(0.05), math.log(10)))
    pace = count / seconds * latency  # in flight at that rate
    settings: dict[str, Any] = {
        "burst_seconds": math.exp(rng.uniform(math.log(0.5), math.log(60))),
        "latency": latency,
        "latency_sigma": rng.choice((0.1, 0.3, 0.5)),
        "output_share": rng.uniform(0.2, 1.0),
    }
    if rng.random() < 0.5:
        rate = rng.uniform(0, 0.02) / 2
        settings["faults"] = dict.fromkeys(rng.sample(_FAULTS, 2), rate)
    if rng.random() < 0.3:
        settings["token_time"] = latency / mean * rng.uniform(0.5, 3)
    if rng.random() < 0.15:
        settings["refund"] = True
    if rng.random() < 0.15:
        settings["engine_slots"] = max(2, round(pace * rng.uniform(0.6, 2)))
    scene = Scene(
        limits=limits,
        provider=ProviderSettings.like(limits, **settings),
        order=rng.choice(("file", "interleave")),
        max_in_flight=rng.choice((None, None, None, max(4, round(pace * rng.uniform(0.7, 3))))),
        travel=rng.choice((0.0, 0.0, 0.02)),
    )
    words = f"{count} rows {kind}, bound by {bound}, depth {settings['burst_seconds']:.1f} s"
    return Job(workload, scene, f"{words}, latency {latency:.2f} s")


def _rows(rng: random.Random, count: int, mean: int, kind: str) -> tuple[Workload, list[int]]:
    """Return so many rows of *kind* and *mean* tokens, and the tokens of each."""
    share = rng.uniform(0.1, 0.6)
    draw = (lambda: mean) if kind == "fixed" else (lambda: rng.lognormvariate(math.log(mean), 0.8))
    tokens = [max(4, round(draw())) for _ in range(count)]
    if kind == "sorted":
        tokens.sort()
    workload = Workload()
    chat = workload.index_of(Kind(CHAT, "m"))
    for size in tokens:
        output = max(1, round(size * share))
        prompt = max(1, size - output)
        workload.add(Row(chat, prompt, output, prompt, output))
    return workload, tokens


def _limits(
    rng: random.Random, count: int, tokens: Sequence[int], seconds: float
) -> tuple[Limits, str]:
    """Return limits that take about so many *seconds*, and which of them binds."""
    requests, amount = count / seconds * 60, sum(tokens) / seconds * 60
    looser = rng.uniform(1.3, 3)
    bound = rng.choice(("requests", "tokens", "both", "requests alone", "tokens alone"))
    rpm: float | None = requests * (looser if bound == "tokens" else 1)
    tpm: float | None = max(amount * (looser if bound == "requests" else 1), 1.05 * max(tokens))
    if bound == "requests alone":
        tpm = None
    elif bound == "tokens alone":
        rpm = None
    return Limits(rpm and round(rpm, 1), tpm and round(tpm)), bound


def compare(job: Job, seed: int) -> dict[str, Any]:
    """Return how far the model is off for *job*, and how long both took."""
    begin = time.process_time()
    engine = play_engine(job.workload, job.scene, seed=seed)
    between = time.process_time()
    model = play_model(job.workload, job.scene, seed=seed, row_seconds=0.0)
    end = time.process_time()
    return {
        "job": job.words,
        "unknown": knows(job.scene),
        "engine_s": round(engine.seconds, 3),
        "model_s": round(model.seconds, 3),
        "error": round(model.seconds / engine.seconds - 1, 6),
        "engine_bound": engine.binding,
        "model_bound": model.binding,
        "same_bound": _is_alike(engine, model),
        "times_faster": round((between - begin) / (end - between), 1),
    }


def compare_again(job: Job, seed: int) -> dict[str, Any]:
    """Return the same of the mean of several seeds, where one of them misses."""
    found = compare(job, seed)
    if is_met(found):
        return found
    more = [found, *[compare(job, seed + number) for number in range(1, SEEDS)]]
    engine = math.fsum(one["engine_s"] for one in more)
    model = math.fsum(one["model_s"] for one in more)
    bounds = sum(one["same_bound"] for one in more)
    return found | {
        "engine_s": round(engine / SEEDS, 3),
        "model_s": round(model / SEEDS, 3),
        "error": round(model / engine - 1, 6),
        "same_bound": bounds > SEEDS / 2,
        "seeds": SEEDS,
    }


def is_met(found: dict[str, Any]) -> bool:
    """Return whether the model was close enough."""
    return abs(found["error"]) <= MOST and bool(found["same_bound"])


def _is_alike(engine: Course, model: Course) -> bool:
    """Return whether what held the one back longest held the other back about as long as any."""
    cause = engine.binding
    if cause is None or cause == model.binding:
        return True
    longest = max(model.held.values(), default=0.0)
    return longest - model.held.get(cause, 0.0) <= _ALIKE * model.seconds


def show(found: dict[int, dict[str, Any]]) -> str:
    """Return a table with a line for each job, and what they come to."""
    rows = [["job", "engine s", "model s", "error", "bound", "modelled", "times faster", "what"]]
    rows += [
        [
            str(number),
            f"{one['engine_s']:.1f}",
            f"{one['model_s']:.1f}",
            f"{one['error']:+.3%}",
            one["engine_bound"] or "",
            one["model_bound"] or "",
            f"{one['times_faster']:.0f}",
            one["job"],
        ]
        for number, one in found.items()
    ]
    return table(rows)


def main(words: Sequence[str] | None = None) -> int:
    """
    Compare the jobs that *words* name; return 1 if one of them misses.

    Args:
        words: The command line; by default that of this process.
    """
    parser = make_parser(__doc__, repeats=JOBS, flag="--jobs")
    parser.add_argument("numbers", nargs="*", type=int, metavar="JOB", help="jobs by number")
    arguments = parser.parse_args(words)
    surroundings = environment(arguments.seed)
    found = {}
    for number in arguments.numbers or range(arguments.repeats):
        found[number] = one = compare_again(draw_job(number), arguments.seed)
        progress(f"{number}: {one['error']:+.3%} {one['job']}")
    errors = sorted(abs(one["error"]) for one in found.values())
    missed = [number for number, one in found.items() if not is_met(one)]
    result = {
        "jobs": {str(number): one for number, one in found.items()},
        "median": statistics.median(errors),
        "worst": errors[-1],
        "missed": missed,
    }
    last = f"median {result['median']:.3%}, worst {result['worst']:.3%}"
    if missed:
        last += f"; missed by {', '.join(map(str, missed))}"
    publish(arguments, surroundings, result, f"{show(found)}\n\n{last}", caveats=_CAVEATS)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
