"""
Computes time and cost of a job with the other services of its provider: flex and batch.

Pure. The provider promises no time for flex, so it is shown as no faster than immediate answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.errors import InvalidLimits
from ratedispatch.jobs.plan.prices import SERVICES
from ratedispatch.providers.tiers import tier_limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.jobs.plan.prices import Service
    from ratedispatch.simulate.forecast.workload import Workload


@dataclass(frozen=True, slots=True)
class Way:
    """
    A way to have a job answered.

    Args:
        service: ``live``, ``flex`` or ``batch``.
        least: Seconds that it takes at least; 0 if it may be done at once.
        most: Seconds that it takes at most; None if nothing is promised.
        usd: What it costs; None if prices are not known.
        note: What is to be known about it.
    """

    service: str
    least: float
    most: float | None
    usd: float | None
    note: str


def ways_of(
    workload: Workload, seconds: float, usd: float | None, tier: str | None = None
) -> list[Way]:
    """
    Return the ways to have *workload* answered.

    Args:
        workload: The rows.
        seconds: What answers at once take.
        usd: What these cost; None if prices are not known.
        tier: The tier of the account, if it is known: it bounds the queue of batches.
    """
    if seconds == math.inf:  # a cost of what a job does until it stops says nothing about the job
        usd = None
    ways = [Way("live", seconds, seconds, usd, "immediate answers")]
    for service in SERVICES:
        if service.window is None and seconds == math.inf:
            continue
        cost = None if usd is None else usd * service.share
        if service.window is None:
            ways.append(Way(service.name, seconds, None, cost, service.note))
            continue
        rounds, note = _rounds(workload, service, tier)
        ways.append(Way(service.name, 0.0, service.window * rounds, cost, note))
    return ways


def _rounds(workload: Workload, service: Service, tier: str | None) -> tuple[int, str]:
    """Return how often one has to wait for what is passed on, and what is to be known of it."""
    prompts = [0] * len(workload.kinds)
    rows = [0] * len(workload.kinds)
    for kind, tokens in zip(workload.kind, workload.billed, strict=True):
        prompts[kind] += tokens
        rows[kind] += 1
    files = sum(math.ceil(count / (service.most_rows or count)) for count in rows if count)
    note = f"{service.note}; {files:,} {'file' if files == 1 else 'files'}"
    if tier is None:
        return 1, f"{note}; rows that exceed the batch queue have to wait"
    rounds = 1
    for each, tokens in zip(workload.kinds, prompts, strict=True):
        queue = _queue(tier, each.model)
        if queue is not None:
            rounds = max(rounds, math.ceil(tokens / queue))
    more = f"; the batch queue needs {rounds:,} rounds" if rounds > 1 else ""
    return rounds, note + more


def _queue(tier: str, model: str) -> int | None:
    try:
        return tier_limits(tier, model).batch_queue
    except InvalidLimits:
        return None


def models_of(workload: Workload) -> list[str]:
    """Return the models of the rows, each once."""
    return list(dict.fromkeys(workload.kinds[kind].model for kind in _used(workload)))


def _used(workload: Workload) -> Iterable[int]:
    return sorted(set(workload.kind))
