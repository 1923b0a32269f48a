"""Adds up the results of a job during its simulation, and makes a `Course` from them."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from ratedispatch.pacing import bottleneck
from ratedispatch.simulate.forecast.course import Course
from ratedispatch.simulate.forecast.course_tally import quarter_bounds, waits_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.simulate.forecast.workload import Workload


class ModelledTally:
    """
    What has come of a job so far.

    Args:
        workload: Its rows.

    Attributes:
        attempts: Requests sent.
        refused: Requests that were refused.
        answered: Rows answered.
        failed: Rows failed.
        busy: Seconds that all requests took together.
        prompt, output: Tokens billed, for each kind.
    """

    def __init__(self, workload: Workload) -> None:
        self._rows = len(workload)
        self.attempts = self.refused = self.answered = self.failed = 0
        self.busy = 0.0
        self._held: dict[str, float] = {}
        self._idle = 0.0
        self._cause, self._since = bottleneck.NOTHING, 0.0
        self._first: float | None = None
        self._last = 0.0
        self._tenths: list[float] = []
        self._next = _tenth(self._rows, 1)
        self._bounds = quarter_bounds(workload)
        self._waits = [array("f") for _ in self._bounds]
        self.prompt = [0] * len(workload.kinds)
        self.output = [0] * len(workload.kinds)

    def send(self, size: int, waited: float | None, now: float) -> None:
        """
        Note that a request leaves.

        Args:
            size: Its tokens.
            waited: Seconds in the queue; None where its row was sent before.
            now: The instant.
        """
        if self._first is None:
            self._first = self._since = now
        self.attempts += 1
        if waited is not None:
            self._waits[bisect_left(self._bounds, size)].append(waited)
        if self._cause is bottleneck.NOTHING:
            self.hold(bottleneck.NOTHING, now)
        if self._idle:  # that was not the end of the work
            held = self._held
            held[bottleneck.NOTHING] = held.get(bottleneck.NOTHING, 0.0) + self._idle
            self._idle = 0.0

    def hold(self, cause: str, now: float) -> None:
        """From *now* on it is *cause* that holds the queue back."""
        elapsed = now - self._since
        if elapsed > 0:
            before = self._cause
            if before == bottleneck.NOTHING:
                self._idle += elapsed
            else:
                self._held[before] = self._held.get(before, 0.0) + elapsed
            self._since = now
        self._cause = cause

    def answer(self, kind: int, prompt: int, output: int, now: float) -> None:
        """Count the answer to a row of *kind*, and the tokens that are billed for it."""
        self.answered += 1
        self.prompt[kind] += prompt
        self.output[kind] += output
        self._end(now)

    def fail(self, now: float) -> None:
        """Count a row that failed."""
        self.failed += 1
        self._end(now)

    def _end(self, now: float) -> None:
        self._last = now
        done = self.answered + self.failed
        while done >= self._next and len(self._tenths) < 10:
            self._tenths.append(now)
            self._next = _tenth(self._rows, len(self._tenths) + 1)

    def course(self, shares: Mapping[str, float], peak: int, row_seconds: float) -> Course:
        """
        Return what came of it.

        Args:
            shares: What was used of each limit.
            peak: The most in flight at once.
            row_seconds: Processor time that a request took here.
        """
        first = self._first or 0.0
        seconds = max(0.0, self._last - first)
        cpu = self.attempts * row_seconds / seconds if seconds else 0.0
        held: dict[str, float] = {}
        for cause, time in self._held.items():
            name = bottleneck.bottleneck_of(cause, {}, cpu).binding
            held[name] = held.get(name, 0.0) + time
        tenths = [at - first for at in self._tenths] + [math.inf] * (10 - len(self._tenths))
        return Course(
            seconds=seconds,
            tenths=tuple(tenths),
            answered=self.answered,
            failed=self.failed,
            attempts=self.attempts,
            refused=self.refused,
            in_flight_peak=peak,
            in_flight_mean=self.busy / seconds if seconds else 0.0,
            held=held,
            shares=shares,
            waits=waits_of(self._bounds, self._waits),
            prompt_tokens=tuple(self.prompt),
            output_tokens=tuple(self.output),
        )


def _tenth(rows: int, number: int) -> int:
    """Return how many rows are done when so many tenths are."""
    return -(-rows * number // 10)
