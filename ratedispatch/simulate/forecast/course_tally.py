"""
Counts what a dispatcher does, for a `Course`. A listener.

Keeps a few numbers for each row and nothing of its answer.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from ratedispatch.events import AttemptEnded, AttemptSent, RequestEnded
from ratedispatch.outcome import REFUSALS, Completed
from ratedispatch.pacing.bottleneck import bottleneck_of, unknown_of
from ratedispatch.simulate.forecast.course import Course, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ratedispatch.errors import Stopped
    from ratedispatch.events import Event
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.simulate.forecast.workload import Workload

#: Into how many parts of equal size the rows are put by what they cost.
_QUARTERS = 4


class CourseTally:
    """
    Counts what happens to the rows of a workload.

    Args:
        workload: The rows; events tell of them by their numbers.

    Attributes:
        attempts: Requests sent so far.
        ended: The instant of each end of a row so far, in seconds.
    """

    listens_to = frozenset({AttemptSent, AttemptEnded, RequestEnded})

    def __init__(self, workload: Workload) -> None:
        self._rows = workload
        self.attempts = 0
        self.ended = array("d")
        self.first_sent = 0.0
        self.last_ended = 0.0
        self._answered = self._failed = self._refused = 0
        self._in_flight = self._peak = 0
        self._at = self._area = 0.0
        self._prompts = [0] * len(workload.kinds)
        self._outputs = [0] * len(workload.kinds)
        self._bounds = quarter_bounds(workload)
        self._waits = [array("d") for _ in self._bounds]

    def __call__(self, event: Event) -> None:
        """Count *event*."""
        if isinstance(event, AttemptSent):
            self._count_sent(event)
        elif isinstance(event, AttemptEnded):
            self._move(event.at, -1)
            self.last_ended = event.at
            self._refused += event.decision in REFUSALS
        elif isinstance(event, RequestEnded):
            self._count_ended(event)

    def _count_sent(self, event: AttemptSent) -> None:
        if not self.attempts:
            self.first_sent = self._at = event.at
        self.attempts += 1
        self._move(event.at, 1)
        row = event.request.row
        if event.attempt == 1 and row is not None:
            size = self._rows.prompt[row] + self._rows.output[row]
            self._waits[bisect_left(self._bounds, size)].append(event.waited)

    def _count_ended(self, event: RequestEnded) -> None:
        self.ended.append(event.at)
        outcome = event.outcome
        if not isinstance(outcome, Completed):
            self._failed += 1
            return
        self._answered += 1
        row, usage = outcome.request.row, outcome.usage
        if usage is not None and row is not None:
            kind = self._rows.kind[row]
            self._prompts[kind] += usage.prompt_tokens
            self._outputs[kind] += usage.output_tokens

    def _move(self, now: float, change: int) -> None:
        self._area += self._in_flight * (now - self._at)
        self._at = now
        self._in_flight += change
        self._peak = max(self._peak, self._in_flight)

    def course(self, state: Snapshot, stop: Stopped | None, cpu_seconds: float = 0.0) -> Course:
        """
        Return what came of it.

        Args:
            state: The state of the queue at the end.
            stop: Why it stopped before the end; None if it did not.
            cpu_seconds: Processor time that it took.
        """
        seconds = max(0.0, self.last_ended - self.first_sent)
        unknown = unknown_of(state.levels)
        held: dict[str, float] = {}
        cpu = cpu_seconds / seconds if seconds > 0 else 0.0
        for cause, time in state.held.items():
            name = bottleneck_of(cause, {}, cpu, unknown).binding
            held[name] = held.get(name, 0.0) + time
        return Course(
            seconds=seconds,
            tenths=self._tenths(),
            answered=self._answered,
            failed=self._failed,
            attempts=self.attempts,
            refused=self._refused,
            in_flight_peak=self._peak,
            in_flight_mean=self._area / seconds if seconds > 0 else 0.0,
            held=held,
            shares=state.used,
            waits=waits_of(self._bounds, self._waits),
            prompt_tokens=tuple(self._prompts),
            output_tokens=tuple(self._outputs),
            stop_code="" if stop is None else stop.code,
            stop_message="" if stop is None else str(stop),
        )

    def _tenths(self) -> tuple[float, ...]:
        rows, ended = len(self._rows), self.ended
        if not rows:
            return (0.0,) * 10
        needed = (-(-rows * tenth // 10) for tenth in range(1, 11))
        return tuple(
            max(0.0, ended[count - 1] - self.first_sent) if count <= len(ended) else math.inf
            for count in needed
        )


def quarter_bounds(workload: Workload) -> list[int]:
    """Return the largest size in each quarter of the rows; fewer where sizes are alike."""
    sizes = sorted(map(int.__add__, workload.prompt, workload.output))
    ends = [len(sizes) * quarter // _QUARTERS - 1 for quarter in range(1, _QUARTERS + 1)]
    return sorted({sizes[max(0, end)] for end in ends}) if sizes else []


def waits_of(bounds: Iterable[int], waits: Iterable[Iterable[float]]) -> tuple[Wait, ...]:
    """Return how long rows of each size up to one of *bounds* waited; without those of no row."""
    return tuple(
        Wait(most, len(found), _quantile(found, 0.5), _quantile(found, 0.95))
        for most, found in zip(bounds, map(sorted, waits), strict=True)
        if found
    )


def _quantile(found: Sequence[float], share: float) -> float:
    """Return the value of sorted *found* that *share* of them do not exceed."""
    return found[max(0, math.ceil(share * len(found)) - 1)]
