"""
What can notice a constant of the algorithms: every run in virtual time, and what is felt of it.

A trial comes to figures that a user feels, of which less is better: seconds, rows without an
answer, requests that were sent in vain, and waits. Knows no constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.frame.pool_rounds import ROUNDS
from benchmarks.sim import pools, shared, troubles
from benchmarks.sim.background import play_beside
from benchmarks.sim.behind_limiters import HIDDEN, play_hidden
from benchmarks.sim.clock_minutes import run as run_proxy
from benchmarks.sim.mismatches import MISMATCHES, play_mismatch
from benchmarks.sim.model_server import play as play_model
from benchmarks.sim.play import play
from benchmarks.sim.pool_troubles import POOL_TROUBLES, play_pool
from benchmarks.sim.scenarios import SCENARIOS
from benchmarks.sim.search import CASES, OWN, WAYS
from benchmarks.sim.situations import SITUATIONS
from benchmarks.sim.successions import SUCCESSIONS, play_succession
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.sim.scenarios import Scenario
    from benchmarks.sim.search import Case

#: Requests to a server model: enough that a ceiling is lifted again.
_MODEL_ROWS = 4_000

_POOL_ROWS = 3_000

#: Where in its minute a proxy is at the start, and how late its numbers are.
_PROXIES: Mapping[str, Mapping[str, Any]] = {
    "from the beginning": {"phase": 1.0},
    "from 15 s on": {"phase": 15.0},
    "from 45 s on": {"phase": 45.0},
    "from 58 s on": {"phase": 58.0},
    "from 58.95 s on": {"phase": 58.95},
    "slow answers": {"phase": 30.0, "latency": 3.0},
    "slow answers, from 55 s on": {"phase": 55.0, "latency": 3.0},
    "late numbers": {"phase": 15.0, "lag": 1.0},
    "late numbers, from 58 s on": {"phase": 58.0, "lag": 1.5},
    "few places": {"phase": 30.0, "places": 5},
    "few places, from 55 s on": {"phase": 55.0, "places": 5},
    "late numbers, three minutes": {"phase": 30.0, "lag": 3.0, "rows": 1_500},
    "old numbers": {"phase": 40.0, "stale": 2.0, "latency": 3.0},
    "old numbers, told more": {
        "phase": 40.0,
        "stale": 2.0,
        "latency": 3.0,
        "limits": Limits(1_200),
    },
    "slow answers, told more": {"phase": 40.0, "latency": 6.0, "limits": Limits(1_200)},
    "nobody tells": {"phase": 30.0, "limits": Limits("auto")},
    "more than is there": {"phase": 30.0, "limits": Limits(3_000)},
    "less than is there": {"phase": 30.0, "limits": Limits(300)},
}


#: Rounds of several processes; eight of them take long, and show what four do.
_SHARED = tuple(name for name in shared.ROUNDS if name not in {"eight", "day"})


@dataclass(frozen=True, slots=True)
class Trial:
    """
    One run.

    Args:
        name: Of its room or kind, and its own.
        play: Returns what is felt of it, the same each time.
    """

    name: str
    play: Callable[[], Mapping[str, float]]


def trials(seed: int) -> Iterator[Trial]:
    """Yield all, the quick ones first."""
    for trouble in SITUATIONS:
        yield Trial(f"trouble: {trouble.name}", partial(troubles.play, trouble, seed))
    for hidden in HIDDEN:
        yield Trial(f"limiter: {hidden.name}", partial(play_hidden, hidden, seed))
    for mismatch in MISMATCHES:
        yield Trial(f"account: {mismatch.name}", partial(play_mismatch, mismatch, seed))
    for place, settings in _PROXIES.items():
        yield Trial(f"clock minutes: {place}", partial(_proxied, settings))
    for case in CASES:
        yield Trial(f"search: {case.name}", partial(_searched, case, seed))
    for succession in SUCCESSIONS:
        yield Trial(f"memory: {succession.name}", partial(play_succession, succession, seed))
    for name in _SHARED:
        for is_far in (False, True):
            place = "far" if is_far else "near"
            yield Trial(f"sharing: {name}, {place}", partial(_shared, name, seed, is_far=is_far))
    yield Trial("lanes: a job beside urgent requests", partial(play_beside, seed))
    for scenario in SCENARIOS:
        yield Trial(f"scenario: {scenario.name}", partial(_played, scenario, seed))
    for pool in POOL_TROUBLES:
        yield Trial(f"pool: {pool.name}", partial(play_pool, pool, seed))
    for name in ROUNDS:
        yield Trial(f"pool: {name}", partial(_pooled, name, seed))


def _proxied(settings: Mapping[str, Any]) -> dict[str, float]:
    proxy = run_proxy(**settings)
    return {"seconds": proxy.last, "in vain": proxy.refused}


def _searched(case: Case, seed: int) -> dict[str, float]:
    served = play_model(case.server, WAYS[OWN](), _MODEL_ROWS, seed)
    return {
        "seconds": served.ends[-1],
        "median latency": served.latency(0.5),
        "in vain": served.refused,
    }


def _shared(name: str, seed: int, *, is_far: bool) -> dict[str, float]:
    found = shared.ROUNDS[name](seed, is_far=is_far)
    used = [number for figure, number in found.items() if figure.startswith("used")]
    return {
        # as much time as it took, were the limit used
        "seconds": found["seconds"] / min(used, default=1.0),
        "share of the luckiest": 1 + found.get("spread", 0.0),
        "in vain": found["refused"],
    }


def _played(scenario: Scenario, seed: int) -> dict[str, float]:
    found = play(scenario.make(seed), seed)
    return {
        "seconds": found["makespan_s"],
        "unanswered": found["rows"] - found["answered"],
        "in vain": found["attempts"] - found["answered"],
    }


def _pooled(name: str, seed: int) -> dict[str, float]:
    found = pools.play(name, seed, _POOL_ROWS)
    return {"seconds": found["seconds"], "unanswered": found["lost"], "in vain": found["wasted"]}
