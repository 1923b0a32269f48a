"""
One run in virtual time, and what it comes to.

Plays a scenario with `ratedispatch.simulate.play` and reads the figures from the result. Every
figure depends on the scenario and the seed alone: the loop is the only clock, threads run at
once, chance is seeded, and nothing asks the machine what it can do. Seconds and ratios are
rounded to microseconds, because libraries of other systems may round a logarithm otherwise in
its last digit.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.frame.bounds import Step, amount_by, least_instant
from ratedispatch.events import AttemptSent, QueuePaused
from ratedispatch.outcome import Completed
from ratedispatch.simulate.play import play as simulate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.events import Event
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits
    from ratedispatch.request import Request
    from ratedispatch.simulate.play import Played
    from ratedispatch.simulate.settings import ProviderSettings

_DIGITS = 6

#: Connections, and so the most in flight: below what most machines let a process open.
CONNECTIONS = 900


@dataclass(frozen=True, slots=True)
class Need:
    """
    What the rows need of one limit, and what that limit allows.

    Args:
        work: Requests or tokens, each row admitted once.
        steps: What is allowed from which second on, the first at 0.
    """

    work: float
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """
    What meets in a run.

    Args:
        requests: In the order in which they are handed over.
        provider: How the server behaves.
        limits: What the dispatcher is told.
        needs: One for each limit; the tightest makes the lower bound.
        options: Further arguments of the `Dispatcher`.
    """

    requests: Sequence[Request]
    provider: ProviderSettings
    limits: Limits | LimitGroups
    needs: tuple[Need, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lower_bound(self) -> float:
        """Seconds from the first arrival to the last answer that nobody can go below."""
        admitted = max(least_instant(need.work, need.steps) for need in self.needs)
        return admitted + self.provider.latency

    def utilisation(self, makespan: float) -> float:
        """
        Return the share that the rows need of what the tightest limit allows.

        Up to one median latency before the last answer: what is admitted later cannot be in it.
        """
        last = max(0.0, makespan - self.provider.latency)
        return max(need.work / amount_by(last, need.steps) for need in self.needs)


class _Tally:
    """A listener that counts."""

    def __init__(self) -> None:
        self.attempts = self.pauses = 0
        self.sent = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, AttemptSent):
            self.attempts += 1
            self.sent += event.at
        elif isinstance(event, QueuePaused):
            self.pauses += 1


def play(setup: Setup, seed: int) -> dict[str, Any]:
    """Run *setup* to its end and return its figures by name, as JSON types."""
    tally = _Tally()
    played = simulate(
        setup.requests,
        setup.limits,
        setup.provider,
        seed=f"provider {seed}",
        listeners=[tally],
        rng=random.Random(f"dispatcher {seed}"),
        **{"connections": CONNECTIONS, **setup.options},
    )
    if played.stop is not None:
        raise played.stop
    return figures(setup, played, tally)


def figures(setup: Setup, played: Played, tally: _Tally) -> dict[str, Any]:
    """Return what a run came to."""
    outcomes, stats = played.outcomes, played.stats
    by_row = Counter(outcome.request.custom_id for outcome in outcomes)
    answered = sum(isinstance(outcome, Completed) for outcome in outcomes)
    rows, makespan, bound = len(setup.requests), stats["makespan"], setup.lower_bound
    is_whole = answered == rows and makespan is not None
    busy = stats["slots_busy_share"]
    return {
        "rows": rows,
        "answered": answered,
        "failed": len(outcomes) - answered,
        "lost": sum(request.custom_id not in by_row for request in setup.requests),
        "doubled": sum(count > 1 for count in by_row.values()),
        "attempts": tally.attempts,
        "refusals": sum(stats["refused"].values()),
        "faults": sum(stats["faults"].values()),
        "pauses": tally.pauses,
        "in_flight_peak": stats["in_flight_peak"],
        "lower_bound_s": round(bound, _DIGITS),
        "makespan_s": None if makespan is None else round(makespan, _DIGITS),
        "ratio": round(makespan / bound, _DIGITS) if is_whole else None,
        "utilisation": _utilisation(setup, makespan, busy) if is_whole else None,
        # one number in which every instant of sending has its part
        "mean_sent_s": round(tally.sent / max(1, tally.attempts), _DIGITS),
    }


def _utilisation(setup: Setup, makespan: float, busy: float | None) -> float:
    return round(setup.utilisation(makespan) if busy is None else busy, _DIGITS)
