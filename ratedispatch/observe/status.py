"""
Measures a job at one instant: what is being sent, the limits in force, and the remaining time.

Reads a job; draws nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ratedispatch.dimension import dimension_named
from ratedispatch.observe.foresight import Lately, seconds_left
from ratedispatch.pacing.bottleneck import NOTHING, words_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ratedispatch.observe.foresight import Ahead
    from ratedispatch.observe.report import Tally
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.snapshot import Snapshot

#: Seconds over which the rates are averaged.
_WINDOW = 15.0

#: Seconds over which it is seen what flows into a limit, and the fewest of them.
_FLOW_SECONDS = 4.0
_LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """
    A job at one instant.

    Args:
        done: Rows with an outcome, those of an earlier run included.
        total: Rows in the file.
        failed: Rows of these that failed.
        requests_per_minute: What is being sent.
        tokens_per_minute: What is being reserved.
        in_flight: Requests sent and not answered.
        refusals: Answers so far that said the rate was too high.
        retries: Attempts beyond the first of a row.
        eta: Seconds to the end of the run; ``None`` if it cannot be told.
        paused: Seconds for which the queue still pauses.
        limits: The limits per minute in force, by dimension, those of all groups together.
        verdict: The bottleneck, in words.
        members: Of each member of a pool, or group of models, its name and how it does.
    """

    done: int
    total: int
    failed: int
    requests_per_minute: float
    tokens_per_minute: float
    in_flight: int
    refusals: int
    retries: int
    eta: float | None
    paused: float
    limits: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""
    members: tuple[tuple[str, str], ...] = ()


class Watched(Protocol):
    """What a progress display reads of a job."""

    tally: Tally

    @property
    def total(self) -> int:
        """Rows of the input."""

    @property
    def done(self) -> int:
        """Rows that have an outcome."""

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is sent."""

    def ahead(self) -> Ahead | None:
        """Return what is still to be sent in this run; None before anything was sent."""

    def snapshot(self) -> Snapshot | None:
        """Return the state of the queue; None before it runs."""

    def members(self) -> Mapping[str, Snapshot]:
        """Return the state of each member of a pool, or group of models, by its name."""

    def bottleneck(self) -> Bottleneck | None:
        """Return the bottleneck; None before it runs."""


class _Sample(NamedTuple):
    """Sums at one instant: attempts, tokens reserved, rows sent, and what went through limits."""

    at: float
    attempts: int
    tokens: int
    sent: int
    passed: dict[tuple[str, str], float]


class Meter:
    """
    Measures a job's rates.

    Args:
        job: What to watch.
    """

    def __init__(self, job: Watched) -> None:
        self._job = job
        self._samples: deque[_Sample] = deque()
        self._last_left = 0.0
        self._most_in_flight = 0
        self._full_since = 0.0

    def read(self) -> Status:
        """Return the job's status now."""
        now = asyncio.get_running_loop().time()
        tally, snapshot = self._job.tally, self._job.snapshot()
        last = _Sample(now, tally.attempts, tally.tokens, tally.sent, _passed(snapshot))
        self._samples.append(last)
        while len(self._samples) > 2 and self._samples[1].at <= now - _WINDOW:
            self._samples.popleft()
        first = self._samples[0]
        span = max(now - first.at, 1e-9)
        binding = self._binding()
        levels = snapshot.levels if snapshot is not None else ()
        limits: dict[str, float] = {}
        for level in levels:
            if math.isfinite(level.per_minute):
                limits[level.dimension] = limits.get(level.dimension, 0.0) + level.per_minute
        in_flight = snapshot.in_flight if snapshot is not None else 0
        return Status(
            done=self._job.done,
            total=self._job.total,
            failed=tally.failed,
            requests_per_minute=(last.attempts - first.attempts) / span * 60,
            tokens_per_minute=(last.tokens - first.tokens) / span * 60,
            in_flight=in_flight,
            refusals=tally.refusals,
            retries=tally.retries,
            eta=self._eta(binding, snapshot, now),
            paused=snapshot.paused if snapshot is not None else 0.0,
            limits=limits,
            verdict="stopping" if binding is None else f"bound by {words_for(binding)}",
            members=tuple(self._members()),
        )

    def _members(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each member and how it does."""
        figures = self._job.tally.routes.figures
        for name, state in self._job.members().items():
            shares = [level.share for level in state.levels if math.isfinite(level.per_minute)]
            if not name:
                continue
            if name in figures and figures[name].stop_code is not None:
                yield name, f"stopped ({figures[name].stop_code})"
            elif state.paused > 0:
                yield name, f"paused {state.paused:.0f} s"
            elif shares:
                yield name, f"{max(shares):.0%}"
            else:
                yield name, f"{state.in_flight:,} in flight"

    def _binding(self) -> str | None:
        """What holds the job back; None if it is stopping."""
        if self._job.is_stopping:
            return None
        verdict = self._job.bottleneck()
        return NOTHING if verdict is None else verdict.binding

    def _eta(self, binding: str | None, snapshot: Snapshot | None, now: float) -> float | None:
        """
        Return the seconds to the end of the run.

        A job that is stopping, or waits for the next day, has no meaningful estimate.
        """
        ahead = self._job.ahead()
        if binding is None or ahead is None or snapshot is None:
            return None
        if dimension_named(binding).is_daily:
            return None
        if ahead.rows > 0:
            self._last_left = now
        lately = Lately(
            binding,
            self._speed(),
            now - self._last_left,
            self._flows(),
            self._full_for(snapshot, now),
        )
        return seconds_left(snapshot, self._job.tally, ahead, lately)

    def _flows(self) -> dict[tuple[str, str], float]:
        """Return what flowed into each limit per second: what was spent, and what is there more."""
        last, found = self._samples[-1], dict[tuple[str, str], float]()
        for seconds in (_FLOW_SECONDS, _WINDOW):
            first = next(one for one in self._samples if one.at >= last.at - seconds)
            span = last.at - first.at
            if span < _LEAST_SECONDS:
                continue
            for name, passed in last.passed.items():
                if name in first.passed:
                    flow = (passed - first.passed[name]) / span
                    found[name] = max(found.get(name, flow), flow)
        return found

    def _full_for(self, snapshot: Snapshot, now: float) -> float:
        """Return the seconds for which as many have been in flight as may be now."""
        most = snapshot.max_in_flight
        if most != self._most_in_flight or snapshot.in_flight < most:
            self._most_in_flight, self._full_since = most, now
        return now - self._full_since

    def _speed(self) -> float:
        """Return the rows per second of the last seconds, from the first one that was sent on."""
        last = self._samples[-1]
        first = next((one for one in self._samples if one.sent), last)
        return (last.sent - first.sent) / (last.at - first.at) if last.at > first.at else 0.0


def _passed(snapshot: Snapshot | None) -> dict[tuple[str, str], float]:
    """Return of each limit what was spent, and what is there."""
    if snapshot is None:
        return {}
    return {
        (level.group, level.dimension): level.spent
        - level.returned
        + max(level.available, level.piled)
        for level in snapshot.levels
    }
