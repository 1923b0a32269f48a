"""
Several processes that look for the number in flight of one server together.

Virtual time; the server, the best fixed number and what is wanted are those of
`benchmarks.sim.search`, and the throughput is held against that of one process. The store is in
memory.

Run: python -m benchmarks.sim.crowd [--runs N] [--seed N] [--only TEXT] [--json [FILE]]
The exit code is 1 if what is wanted is missed.
"""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from benchmarks.sim.model_server import play
from benchmarks.sim.search import CASES, LEAST_SHARE, MOST_TIMES, best_of
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.shared_search import SharedSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.sim.search import Case
    from ratedispatch.pacing.concurrency.reading import Sent

#: How many processes there are.
MEMBERS = (1, 2, 4, 8)

#: The servers.
_NAMES = frozenset({"4 places", "16 places", "64 places", "batching"})

#: Seconds after which a process looks again that waits for room.
_LOOK_SECONDS = 0.1


class Token(NamedTuple):
    """What came of a request: whose it is, and what that one wants back."""

    member: int
    sent: Sent


class Crowd:
    """
    What several processes with one server may have in flight together.

    Args:
        members: Each one's limit.
    """

    learns = True

    def __init__(self, members: Sequence[SharedSearch | AdaptiveLimit]) -> None:
        self.members = members
        self.loads = [0] * len(members)
        self._looked_at = 0.0

    @property
    def limit(self) -> int:
        """One more than there is if any of them has room."""
        return sum(self.loads) + any(map(self._has_room, range(len(self.members))))

    def full(self, now: float) -> float:
        """Look again for all that wait."""
        self._looked_at = now
        for number, member in enumerate(self.members):
            if not self._has_room(number):
                member.full(now)
        return _LOOK_SECONDS

    def sent(self, now: float, in_flight: int, is_full: bool) -> Token:  # noqa: ARG002
        """Let the one send that has the most room for its part."""
        members = self.members
        free = filter(self._has_room, range(len(members)))
        number = min(free, key=lambda one: self.loads[one] / members[one].limit)
        self.loads[number] += 1
        return Token(number, members[number].sent(now, self.loads[number], is_full))

    def ended(self, token: Token, now: float) -> None:
        """Tell whose it is."""
        self.loads[token.member] -= 1
        self.members[token.member].ended(token.sent, now)
        if now - self._looked_at >= _LOOK_SECONDS:
            self.full(now)

    def dropped(self, token: Token) -> None:
        """Tell whose it is."""
        self.loads[token.member] -= 1
        self.members[token.member].dropped(token.sent)

    def _has_room(self, number: int) -> bool:
        return self.loads[number] < self.members[number].limit


def together(count: int, shared: SharedRecord | None = None) -> Crowd:
    """Return *count* processes that search together, each with 8 at first."""
    shared = shared or SharedRecord()
    return Crowd(
        [
            SharedSearch(AdaptiveLimit(start=8, most=1000), shared.join(), number + 1.0)
            for number in range(count)
        ]
    )


def apart(count: int) -> Crowd:
    """Return *count* processes each of which searches for itself."""
    return Crowd([AdaptiveLimit(start=8, most=1000) for _ in range(count)])


def measure(case: Case, count: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the figures of *count* processes on one server, together and each for itself."""
    found: dict[str, list[float]] = {"throughput": [], "p50": [], "apart": [], "apart_p50": []}
    for seed in seeds:
        one = play(case.server, AdaptiveLimit(start=8, most=1000), case.rows, seed)
        _, best = best_of(case, seed)
        for prefix, crowd in (("", together(count)), ("apart", apart(count))):
            run = play(case.server, crowd, case.rows, seed)
            found[prefix or "throughput"].append(run.per_second / one.per_second)
            found[f"{prefix}_p50" if prefix else "p50"].append(run.latency(0.5) / best.latency(0.5))
    return {name: round(statistics.median(values), 3) for name, values in found.items()}


def is_met(figures: dict[str, float]) -> bool:
    """Return whether together they have the throughput at the latency that is wanted."""
    return figures["throughput"] >= LEAST_SHARE and figures["p50"] <= MOST_TIMES


def main(words: Sequence[str] | None = None) -> int:
    """Let several processes search on every server; return 1 if what is wanted is missed."""
    parser = make_parser(__doc__, repeats=5, flag="--runs")
    parser.add_argument("--only", default="", metavar="TEXT", help="servers with it in their names")
    arguments = parser.parse_args(words)
    surroundings = environment(arguments.seed)
    seeds = range(arguments.seed, arguments.seed + arguments.repeats)
    results: dict[str, dict[str, Any]] = {}
    rows = [["server", "processes", "throughput", "p50", "apart: throughput", "p50"]]
    for case in CASES:
        if case.name not in _NAMES or arguments.only not in case.name:
            continue
        progress(case.name)
        for count in MEMBERS:
            figures = measure(case, count, seeds)
            results[f"{case.name}, {count}"] = figures
            mark = "" if is_met(figures) else "!"
            cells = [f"{value:.2f}" for value in figures.values()]
            rows.append([case.name, str(count), cells[0] + mark, *cells[1:]])
    publish(arguments, surroundings, {"servers": results}, table(rows), caveats=())
    return 0 if all(map(is_met, results.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
