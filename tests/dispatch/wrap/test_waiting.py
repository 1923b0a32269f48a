"""Permits that come late, because their loop was busy: given back and asked for again."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

import ratedispatch as rd
from ratedispatch.dispatch.wrap.waiting import acquire_here
from ratedispatch.errors import DeadlineMissed
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.turn import FIRST_COME

if TYPE_CHECKING:
    from collections.abc import Callable


class ByHand:
    """A clock that stands still, and a timer that is never called."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        """Return what it was set to."""
        return self.now

    def set(self, when: float, callback: Callable[[], None]) -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""

    def soon(self, callback: Callable[[], None]) -> None:
        """Do nothing."""


def queue(alarm: ByHand) -> Admission:
    budget = rd.LocalBudget(rd.Limits(requests_per_minute=60, burst_seconds=0))
    return Admission([Lane(budget, FixedLimit(100), rng=random.Random(1))], alarm)


@pytest.mark.parametrize(("late", "granted_at"), [(0.05, 1.0), (0.5, 1.5)])
def test_a_permit_that_comes_late_is_asked_for_anew(late: float, granted_at: float) -> None:
    """Those that a queue grants to a loop that is busy would all leave at once afterwards."""

    async def main() -> None:
        alarm = ByHand()
        line = queue(alarm)
        await acquire_here(line, rd.Cost(1), 0, FIRST_COME, None)
        waits = asyncio.create_task(acquire_here(line, rd.Cost(1), 1, FIRST_COME, None))
        behind = asyncio.create_task(acquire_here(line, rd.Cost(1), 2, FIRST_COME, None))
        await asyncio.sleep(0)
        alarm.now = 1.0
        line.look_again()
        alarm.now += late  # the loop is busy with something else
        permit = await waits
        assert permit.granted_at == granted_at
        assert line.in_flight == 2
        assert not behind.done(), "one that came later has not got its place"
        assert line.lanes[0].snapshot().levels[0].spent == 2
        behind.cancel()

    asyncio.run(main())


def test_a_permit_that_comes_after_the_deadline_is_not_used() -> None:
    """Nothing is spent."""

    async def main() -> None:
        alarm = ByHand()
        line = queue(alarm)
        await acquire_here(line, rd.Cost(1), 0, FIRST_COME, None)
        alarm.now = -0.2
        waits = asyncio.create_task(acquire_here(line, rd.Cost(1), 1, FIRST_COME, 1.2))
        await asyncio.sleep(0)
        alarm.now = 1.0
        line.look_again()
        alarm.now = 2.0
        with pytest.raises(DeadlineMissed):
            await waits
        assert line.in_flight == 1
        assert line.lanes[0].snapshot().levels[0].spent == 1

    asyncio.run(main())
