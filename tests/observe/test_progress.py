"""What a person sees while a job runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from ratedispatch.observe.progress import Meter, Status, plain_line
from ratedispatch.observe.report import Tally
from ratedispatch.pacing.bottleneck import Bottleneck
from ratedispatch.simulate.clock import run_virtual


@dataclass
class _Job:
    """As much of a job as a meter looks at."""

    binding: str = "requests"
    is_stopping: bool = False
    total: int = 1_000
    tally: Tally = field(default_factory=Tally)

    @property
    def done(self) -> int:
        return self.tally.answered

    def snapshot(self) -> None:
        return None

    def bottleneck(self) -> Bottleneck:
        return Bottleneck(self.binding, None, 0.0)


def status(**state: Any) -> Status:
    """What is shown of a job that has answered ten rows a second for ten seconds."""

    async def main() -> Status:
        job = _Job(**state)
        meter = Meter(cast("Any", job))
        meter.read()
        await asyncio.sleep(10)
        job.tally.answered = 100
        return meter.read()

    return run_virtual(main())


def test_the_time_that_is_left_follows_from_the_last_seconds() -> None:
    seen = status()
    assert seen.eta == pytest.approx(90)
    assert "ETA 01:30" in plain_line(seen)
    assert seen.verdict == "bound by requests per minute"


def test_a_job_that_waits_for_a_day_or_stops_has_no_such_time() -> None:
    """It does not go on as it did."""
    waiting, stopping = status(binding="requests_per_day"), status(is_stopping=True)
    assert waiting.eta is stopping.eta is None
    assert "ETA --:--" in plain_line(waiting)
    assert waiting.verdict == "bound by requests per day"
    assert stopping.verdict == "stopping"
