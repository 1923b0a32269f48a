"""
Measures a job at one instant: what is being sent, what is in force, and the time that is left.

Reads a job; draws nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ratedispatch.dimension import dimension_named
from ratedispatch.pacing.bottleneck import NOTHING, words_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ratedispatch.observe.report import Tally
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.snapshot import Level, Snapshot

#: Seconds over which the rates are averaged.
_WINDOW = 15.0

#: Others on the account are believed to leave at least this share of a limit.
_LEAST_SHARE = 0.05


class Ahead(NamedTuple):
    """
    What is still to be sent in this run, as a multiple of what was sent.

    Args:
        rows: By the number of rows.
        tokens: By their tokens.
    """

    rows: float
    tokens: float


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
    """Sums at one instant: attempts, tokens reserved, rows with an outcome."""

    at: float
    attempts: int
    tokens: int
    ended: int


class Meter:
    """
    Measures a job's rates.

    Args:
        job: What to watch.
    """

    def __init__(self, job: Watched) -> None:
        self._job = job
        self._samples: deque[_Sample] = deque()

    def read(self) -> Status:
        """Return the job's status now."""
        now = asyncio.get_running_loop().time()
        tally, snapshot = self._job.tally, self._job.snapshot()
        last = _Sample(now, tally.attempts, tally.tokens, tally.answered + tally.failed)
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
            eta=self._eta(binding, levels, in_flight),
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

    def _eta(self, binding: str | None, levels: Sequence[Level], in_flight: int) -> float | None:
        """
        Return the seconds to the end of the run.

        What the limits need for the rest, and where they are not what holds the job back, at
        least what the rest takes at the speed of the last seconds. Where others seem to take them
        whole, that speed alone. A job that stops, or waits for a day, does not go on as it did.
        """
        tally, ahead = self._job.tally, self._job.ahead()
        if binding is None or ahead is None or dimension_named(binding).is_daily:
            return None
        speed = self._speed()
        settled = 1 - in_flight / max(1, tally.attempts)
        needed = [seconds_for(level, ahead, settled) for level in levels if _is_known(level)]
        is_limited = any(binding == level.dimension for level in levels if _is_known(level))
        at_speed = (ahead.rows * tally.sent + in_flight) / speed if speed else None
        if is_limited:
            if at_speed is not None and any(map(_is_all_elsewhere, levels)):
                return at_speed
            return max(needed) + tally.latency
        if at_speed is None:
            return max(needed) if needed else None
        return max(*needed, at_speed, 0.0)

    def _speed(self) -> float:
        """Return the rows with an outcome per second of the last seconds, from the first one on."""
        last = self._samples[-1]
        first = next((one for one in self._samples if one.ended), last)
        return (last.ended - first.ended) / (last.at - first.at) if last.at > first.at else 0.0


def seconds_for(level: Level, ahead: Ahead, settled: float) -> float:
    """
    Return the seconds that the rest of a run needs of one limit.

    (net × ahead − available) / (rate − others), at least 0. Net is what was spent so far less
    what comes back, and the rest is taken to spend as much for each row or token. Others are
    those that use the account, and those that share the limit.

    Args:
        level: The limit, and what was spent of it.
        ahead: What is still to be sent.
        settled: The share of what was sent that has an answer; only of that it is known what
            came back.
    """
    net = level.spent - level.returned / max(settled, _LEAST_SHARE)
    share = ahead.rows if level.dimension.startswith("requests") else ahead.tokens
    left = level.per_second - level.others / 60 - level.elsewhere
    rate = max(left, _LEAST_SHARE * level.per_second)
    return max(0.0, net * share - level.available) / rate


def _is_all_elsewhere(level: Level) -> bool:
    """Whether others seem to leave nothing: together all are quicker than the limit says."""
    # while the store is gone, headers tell once more what those take that shared it
    taken = level.elsewhere + level.others / 60
    return level.elsewhere > 0 and taken > (1 - _LEAST_SHARE) * level.per_second


def _is_known(level: Level) -> bool:
    return math.isfinite(level.per_minute) and not dimension_named(level.dimension).is_daily
