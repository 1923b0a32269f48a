"""
How several processes share the limit of one account: real processes, a file or a Redis, HTTP.

Rounds, each with a file of this machine and, where there is a redis-server, by one that is started
for it:
  four      4 runs of 500 rows on 3,000 RPM; one is killed after 12 s and started again
  restart   the same, and the Redis is killed and started again, empty, after 10 s
  eight     8 runs on 30,000 RPM for 60 s
  halved    4 runs; the server halves its limit after 20 s
  sizes     4 programs bound by tokens, rows of 50 to 4,000 tokens
  cost      what sharing takes of the processor for a request, with 1, 2, 4 and 8 processes
  alone     a run that shares with nobody, and at the same time one without sharing
Limits are judged by the referee of the fake server, a process of its own; buckets are 1 s deep.
Run: python -m benchmarks.live.shared [--round NAME] [--store local|redis] [--repeats N] [--json]
The exit code is 1 if a target was missed.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.bounds import Account
from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.tables import table
from benchmarks.frame.workload import short
from benchmarks.live.parts.fleet import NO_REDIS, Fleet, has_redis, redis_in
from benchmarks.live.parts.shared_member import Place, rehearse, send_sizes, spend
from benchmarks.live.parts.shared_scene import LATENCY, Scene, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_RATE = 50.0
_FOUR = ("a", "b", "c", "d")
_EACH = 500

#: Microseconds of processor time that sharing may take for a request.
_MOST_US = {"local": 40.0, "redis": 100.0}
_MEMBERS = (1, 2, 4, 8)

#: Requests per minute of all members together in ``cost``.
_COST_RPM = 30_000
_COST_SECONDS = 1.5
_COST_TURNS = 5

#: Seconds within which a wait is not told from chance.
_FLOOR = 0.3

_STORES = ("local", "redis")


def _four(scene: Scene, *, restarts: bool) -> dict[str, Any]:
    """Kill one of four in the middle, and start it again with the same command."""
    for number, name in enumerate(_FOUR):
        short(_EACH, 10 * scene.seed + number).write(scene.folder / f"{name}.jsonl")
    flags = ("--rpm", "3000", "--tpm", "none", "--share", scene.share)
    with scene.server("--rpm", "3000") as server, Fleet(scene.folder, server, flags) as fleet:
        for name in _FOUR:
            fleet.start(name)
        fleet.wait_for_all(_FOUR)
        time.sleep(1.0)  # what the first sent while they were alone is answered by then
        begin, before = time.perf_counter(), [fleet.lines(name) for name in _FOUR]
        _sleep_until(begin + 9)
        if restarts and scene.redis is not None:
            scene.redis.restart()
        _sleep_until(begin + 11)
        done = [fleet.lines(name) - was for name, was in zip(_FOUR, before, strict=True)]
        fleet.kill("b")
        fleet.start("b")
        codes = {name: one.code for name, one in fleet.wait().items()}
        stats = server.stats()
        answers = [fleet.answers(name) for name in _FOUR]
    bound = Account(3000, 0, 1.0, LATENCY)
    least = (stats["arrived"] - _RATE * bound.burst_seconds) / _RATE + LATENCY
    figures = {
        **judged(stats),
        "seconds": round(stats["makespan"], 2),
        "of_bound": round(stats["makespan"] / least, 4),
        "spread": round(max(done) / max(1, min(done)) - 1, 4),
        "rows": sum(map(len, answers)),
    }
    once = all(set(one.values()) == {1} for one in answers) and not any(codes.values())
    figures["is_on_target"] = (
        once
        and figures["rows"] == len(_FOUR) * _EACH
        and figures["refused_share"] <= 0.005
        and figures["of_bound"] <= (1.04 if scene.redis is None else 1.06)
        and (restarts or figures["spread"] <= 0.1)  # apart, each has a part of its own pace
    )
    return figures


def four(scene: Scene) -> dict[str, Any]:
    """Kill one of four."""
    return _four(scene, restarts=False)


def restart(scene: Scene) -> dict[str, Any]:
    """Kill the Redis, too."""
    return _four(scene, restarts=True)


def eight(scene: Scene) -> dict[str, Any]:
    """Let eight want more than there is, for a minute from when all of them have begun."""
    names = [f"m{number}" for number in range(8)]
    short(6_000, scene.seed).write(scene.folder / "rows.jsonl")
    flags = ("--rpm", "30k", "--tpm", "none", "--share", scene.share)
    with scene.server("--rpm", "30k") as server, Fleet(scene.folder, server, flags) as fleet:
        for name in names:
            fleet.start(name, rows="rows")
        fleet.wait_for_all(names)
        time.sleep(1.0)
        begin, first = time.perf_counter(), server.stats()["admitted"]
        before = [fleet.lines(name) for name in names]
        _sleep_until(begin + 60)
        seconds, last = time.perf_counter() - begin, server.stats()["admitted"]
        done = [fleet.lines(name) - was for name, was in zip(names, before, strict=True)]
        stats = server.stats()
        fleet.stop()
    rate = 500.0
    figures = {
        **judged(stats),
        "used": round((last - first) / seconds / rate, 4),
        "spread": round(max(done) / max(1, min(done)) - 1, 4),
    }
    figures["is_on_target"] = (
        figures["used"] >= 0.97
        and figures["refused_share"] <= 0.005
        and figures["above_limit"] <= 0.05 * rate
    )
    return figures


def halved(scene: Scene) -> dict[str, Any]:
    """Let the server halve its limit; each sees it in its own answers, and by the others."""
    at = 20
    short(1_000, scene.seed).write(scene.folder / "rows.jsonl")
    flags = ("--rpm", "3000", "--tpm", "none", "--share", scene.share)
    change = ("--rpm", "3000", "--tpm", "100M", "--change", f"{at}:1500:100M")
    with scene.server(*change) as server, Fleet(scene.folder, server, flags) as fleet:
        for name in _FOUR:
            fleet.start(name, rows="rows")
        time.sleep(at + 22)
        stats = server.stats()
        fleet.stop()
    arrived = stats["per_second"]["arrived"]
    half = _RATE / 2
    figures = {
        **judged(stats),
        "used_later": round(sum(arrived[at + 2 : at + 20]) / 18 / half, 4),
        "second_after": round(arrived[at + 1] / half, 3),
    }
    figures["is_on_target"] = (
        figures["refused_share"] <= 0.02
        and 0.95 <= figures["used_later"] <= 1.02
        and figures["second_after"] <= 1.2
    )
    return figures


def sizes(scene: Scene) -> dict[str, Any]:
    """Return how long large rows wait, beside the heads of the others and what they take."""
    tpm, seconds = 600_000, 45.0
    share = "local:sizes" if scene.redis is None else scene.share
    with scene.server("--tpm", str(tpm)) as server, _pool(4) as pool:
        begin = time.perf_counter() + 4.0
        asked = [
            pool.submit(send_sizes, server.base_url, share, tpm, begin, seconds, number)
            for number in range(4)
        ]
        lists = [one.result() for one in asked]
        stats = server.stats()
    ratios = []
    for number, own in enumerate(lists):
        others = [one for place, one in enumerate(lists) if place != number]
        for last, row in itertools.pairwise(own):
            if row.tokens > 3_000 and last.at > begin + 5:
                heads = [next((r.tokens for r in one if r.at > last.at), 0) for one in others]
                explained = (row.tokens + sum(heads)) / (tpm / 60)
                ratios.append((row.at - last.at) / max(explained, _FLOOR))
    sent = [row for own in lists for row in own if begin + 5 < row.at <= begin + seconds]
    used = sum(row.tokens for row in sent) / ((seconds - 5) * tpm / 60)
    figures = {
        "sent": stats["arrived"],
        "refused_share": round(stats["refused_share"], 5),
        "above_limit": round(max(0.0, stats["excess"]["offered"]["tokens"] or 0.0), 1),
        "used": round(used, 4),
        "longest": round(max(ratios), 3),
        "large": len(ratios),
    }
    figures["is_on_target"] = figures["longest"] <= 1.5 and figures["refused_share"] <= 0.005
    return figures


def cost(scene: Scene) -> dict[str, Any]:
    """Return what sharing takes of the processor for a request, without sending anything."""
    figures: dict[str, Any] = {}
    for members in _MEMBERS:
        apart = Place("none")

        def without(_: int, members: int = members, apart: Place = apart) -> float:
            return _taken([apart] * members, _COST_RPM / members)

        def sharing(turn: int, members: int = members) -> float:
            return _taken([scene.place(f"cost-{members}-{turn}")] * members, _COST_RPM)

        variants: dict[str, Callable[[int], float]] = {"without": without, "sharing": sharing}
        found = interleave(variants, _COST_TURNS)
        pairs = zip(found["sharing"], found["without"], strict=True)
        figures[f"us_{members}"] = round(statistics.median(a - b for a, b in pairs), 1)
        figures[f"us_{members}_without"] = round(statistics.median(found["without"]), 1)
    most = _MOST_US[scene.store]
    figures["is_on_target"] = all(figures[f"us_{members}"] <= most for members in _MEMBERS)
    return figures


def _taken(places: Sequence[Place], rpm: float) -> float:
    spent = spend(places, rpm, _COST_SECONDS)
    taken = 1e6 * spent.seconds / spent.requests
    progress(f"{len(places)} {places[0].kind}: {taken:.1f} µs, {spent.requests:.0f}")
    return taken


def alone(scene: Scene) -> dict[str, Any]:
    """Let a run share with nobody; at the same time another one knows of no sharing."""
    rows, turns = 8_000, 3
    short(rows, scene.seed).write(scene.folder / "rows.jsonl")
    cpu, makespan = [], []
    for turn in range(turns):
        with ExitStack() as stack:
            fleets = []
            for number in range(2):
                server = stack.enter_context(scene.server("--rpm", "30k"))
                fleet = stack.enter_context(
                    Fleet(scene.folder, server, ("--rpm", "30k", "--tpm", "none"))
                )
                fleets.append((fleet, server, number))
            for fleet, _, number in fleets if turn % 2 else fleets[::-1]:
                more = ("--share", scene.share) if number else ()
                fleet.start(f"{turn}-{number}", *more, rows="rows")
            ended = [
                (*fleet.wait().values(), server.stats()["makespan"]) for fleet, server, _ in fleets
            ]
        (without, plain), (sharing, shared) = ended
        cpu.append(sharing.cpu / without.cpu)
        makespan.append(shared / plain)
        progress(f"{turn}: {sharing.cpu:.2f} beside {without.cpu:.2f} s, {shared:.2f} {plain:.2f}")
    figures: dict[str, Any] = {
        "cpu": round(statistics.median(cpu), 4),
        "of_makespan": round(statistics.median(makespan), 4),
    }
    figures["is_on_target"] = figures["cpu"] <= 1.01 and figures["of_makespan"] <= 1.02
    return figures


def _pool(count: int) -> ProcessPoolExecutor:
    """Return as many processes, which have loaded what they need."""
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))
    list(pool.map(rehearse, [1.0] * count))
    return pool


def _sleep_until(instant: float) -> None:
    time.sleep(max(0.0, instant - time.perf_counter()))


ROUNDS: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "four": four,
    "restart": restart,
    "eight": eight,
    "halved": halved,
    "sizes": sizes,
    "cost": cost,
    "alone": alone,
}


def _play(name: str, store: str, seed: int) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rd-shared-")))
        redis = stack.enter_context(redis_in(folder)) if store == "redis" else None
        return ROUNDS[name](Scene(folder, redis, seed))


def _plan(rounds: Sequence[str], stores: Sequence[str]) -> list[tuple[str, str]]:
    """Return what is played: a file cannot be started again, and alone it is a file's matter."""
    without = {("restart", "local")}
    return [pair for pair in itertools.product(rounds, stores) if pair not in without]


def main() -> int:
    """Play the rounds, and print what came of each; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=1)
    parser.add_argument("--round", choices=ROUNDS, action="append", help="only these")
    parser.add_argument("--store", choices=_STORES, action="append", help="only these")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    found: dict[str, list[dict[str, Any]]] = {}
    lines = [["round", "store", "on target", "figures"]]
    for name, store in _plan(arguments.round or tuple(ROUNDS), arguments.store or _STORES):
        if store == "redis" and not has_redis():
            lines.append([name, store, "skipped", NO_REDIS])
            continue
        for turn in range(arguments.repeats):
            figures = _play(name, store, arguments.seed + turn)
            found.setdefault(f"{name} {store}", []).append(figures)
            shown = ", ".join(f"{key} {value}" for key, value in figures.items())
            progress(f"{name} {store}: {shown}")
            is_met = figures["is_on_target"]
            lines.append([name, store, "yes" if is_met else "NO", shown])
    is_on_target = all(one["is_on_target"] for runs in found.values() for one in runs)
    result = {"rounds": found, "is_on_target": is_on_target}
    publish(arguments, surroundings, result, table(lines), caveats=LOOPBACK)
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
