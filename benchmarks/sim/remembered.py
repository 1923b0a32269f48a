"""
What a second run gains by what the first has learned, against accounts that say nothing.

The first run finds the limits of a silent account by refusals and keeps them. Then the same rows
are sent again in virtual time, to an account that is as it was, or whose limits have changed in
between. The share of the limit that is used in the first ten seconds is to be 95 % at least where
nothing has changed; a bucket of a second is full at the start, so it may be above 100 %.

Run: python -m benchmarks.sim.remembered [--runs N] [--seed N] [--json [FILE]]
The exit code is 1 if a second run uses less than that.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import NOTHING, table
from benchmarks.frame.workload import short
from ratedispatch.events import AttemptEnded
from ratedispatch.limits import AUTO, Limits
from ratedispatch.memory.state_folder import HeldMemory
from ratedispatch.outcome import Decision
from ratedispatch.request import CHAT, Request
from ratedispatch.simulate.play import Played, play
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What is wanted of a second run: the share of the limit in its first seconds.
LEAST_SHARE = 0.95
FIRST_SECONDS = 10.0

#: Seconds that a run takes at its limit: long enough that one which was changed is found again.
_SECONDS = 75.0

#: Seconds of the windows in which a run is said to be at its limit, and the share of it.
_WINDOW = 5.0
_AT_SPEED = 0.95

#: Tokens per minute for each request per minute: more than the rows need.
_TOKENS = 600.0

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Case:
    """
    Two runs on one account.

    Args:
        name: What is special about the second.
        first: The limit on requests per minute in the first.
        second: The same in the second.
        headers: Whether answers tell the limits.
    """

    name: str
    first: float
    second: float
    headers: bool = False


CASES = (
    Case("as it was", 3_000, 3_000),
    Case("as it was, 600", 600, 600),
    Case("as it was, 10,000", 10_000, 10_000),
    Case("halved", 3_000, 1_500),
    Case("a tenth", 3_000, 300),
    Case("doubled", 1_500, 3_000),
    Case("ten times", 300, 3_000),
    Case("a hundred times", 30, 3_000),
    Case("ten times, told", 300, 3_000, headers=True),
)


def send(limit: float, seconds: float, seed: int, memory: Any, *, headers: bool = False) -> Played:
    """Send rows for so many *seconds* to an account with *limit* requests per minute."""
    rows = short(round(limit / 60 * seconds), seed).rows
    return play(
        [Request(row.body, CHAT, row.custom_id, place) for place, row in enumerate(rows, start=1)],
        Limits(AUTO, AUTO),
        ProviderSettings(
            requests_per_minute=limit,
            tokens_per_minute=limit * _TOKENS,
            burst_seconds=1.0,
            headers=headers,
            numbers=False,
        ),
        seed=f"remembered {seed}",
        keeps_events=True,
        memory=memory,
    )


def share(played: Played, limit: float, start: float, end: float) -> float:
    """Return what went through from *start* to *end*, as a share of *limit*."""
    sent = sum(
        start <= event.at - event.latency < end
        for event in played.events
        if isinstance(event, AttemptEnded) and event.decision is Decision.ANSWERED
    )
    return sent / (limit / 60 * (end - start))


def found_after(played: Played, limit: float) -> float | None:
    """Return when the first window at the limit begins; None if there is none."""
    for number in range(int(played.seconds // _WINDOW)):
        start = number * _WINDOW
        if share(played, limit, start, start + _WINDOW) >= _AT_SPEED:
            return start
    return None


def measure(case: Case, seed: int) -> dict[str, Any]:
    """Return the figures of the second run, with memory and without."""
    clock = [0.0]
    memory = HeldMemory(lambda: clock[0])
    send(case.first, _SECONDS, seed, memory, headers=case.headers)
    clock[0] += _DAY
    found: dict[str, Any] = {}
    for name, kept in (("without", False), ("with", memory)):
        played = send(case.second, _SECONDS, seed + 1000, kept, headers=case.headers)
        found[name] = {
            "first": round(share(played, case.second, 0.0, FIRST_SECONDS), 4),
            "refused": played.refused,
            "rows": len(played.outcomes),
            "found_after_s": found_after(played, case.second),
            "makespan_s": round(played.seconds, 3),
        }
    return found


def is_met(case: Case, figures: dict[str, Any]) -> bool:
    """Return whether a second run is at speed where nothing has changed."""
    return case.first != case.second or figures["with"]["first"] >= LEAST_SHARE


def show(results: dict[str, dict[str, Any]]) -> str:
    """Return a table with a line for each case and seed."""
    rows = [["the second run", "memory", "first 10 s", "refused", "at speed after s", "makespan s"]]
    for name, result in results.items():
        for how, figures in result.items():
            after = figures["found_after_s"]
            rows.append(
                [
                    name,
                    how,
                    f"{figures['first']:.3f}",
                    f"{figures['refused'] / figures['rows']:.2%}",
                    NOTHING if after is None else f"{after:.0f}",
                    f"{figures['makespan_s']:.1f}",
                ]
            )
    return table(rows)


def main(words: Sequence[str] | None = None) -> int:
    """Play every case; return 1 if a second run is not at speed."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    arguments = parser.parse_args(words)
    surroundings = environment(arguments.seed)
    results, is_all_met = {}, True
    for case in CASES:
        for seed in range(arguments.seed, arguments.seed + arguments.repeats):
            name = case.name if arguments.repeats == 1 else f"{case.name}, seed {seed}"
            progress(name)
            results[name] = measure(case, seed)
            is_all_met = is_all_met and is_met(case, results[name])
    caveats = ("computing takes no time here, and the provider's bucket is a second deep",)
    publish(arguments, surroundings, {"cases": results}, show(results), caveats=caveats)
    return 0 if is_all_met else 1


if __name__ == "__main__":
    sys.exit(main())
