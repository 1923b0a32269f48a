"""A stop that comes before there is anything to stop."""

from __future__ import annotations

import asyncio
import math
from typing import Any, cast

import pytest

from ratedispatch.jobs.halt import Halt
from ratedispatch.simulate.clock import run_virtual


class Stoppable:
    """A dispatcher that only notes what it is told, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []

    def stop(self, code: str, _message: str) -> None:
        self.told.append((asyncio.get_running_loop().time(), code))

    def abandon(self) -> None:
        self.told.append((asyncio.get_running_loop().time(), "abandoned"))


@pytest.mark.parametrize("is_ended", [True, False])
def test_the_time_after_a_stop_goes_on_when_nothing_is_in_flight(is_ended: bool) -> None:
    """For what is still to be done then, such as a table; until the job ends."""
    halt = Halt()

    async def main() -> list[bool]:
        dispatcher = Stoppable()
        halt.attach(cast("Any", dispatcher))
        halt.detach()
        halt.stop("drained", "on request")
        halt.limit(5.0)
        found = [halt.is_over]
        await asyncio.sleep(4.0)
        found.append(halt.is_over)
        if is_ended:
            halt.end()
        await asyncio.sleep(4.0)
        assert dispatcher.told == []
        return [*found, halt.is_over]

    assert run_virtual(main()) == [False, False, not is_ended]


@pytest.mark.parametrize(
    ("timeouts", "abandoned_after"), [((5.0,), 5.0), ((math.inf, 2.0, 9.0), 2.0), ((), None)]
)
@pytest.mark.parametrize("is_early", [True, False])
def test_an_early_stop_counts_once_there_is_a_dispatcher(
    timeouts: tuple[float, ...], abandoned_after: float | None, is_early: bool
) -> None:
    """The first one, with its time-out, as one that comes later does."""
    halt = Halt()

    def stop() -> None:
        halt.stop("drained", "on request")
        for timeout in timeouts:
            halt.limit(timeout)

    async def main() -> list[tuple[float, str]]:
        dispatcher = Stoppable()
        start = asyncio.get_running_loop().time()
        halt.attach(cast("Any", dispatcher))
        if not is_early:
            stop()
        assert halt.is_set
        await asyncio.sleep(60)
        return [(at - start, what) for at, what in dispatcher.told]

    if is_early:
        stop()
        halt.stop("output", "too late")
    expected = [(0.0, "drained")]
    if abandoned_after is not None:
        expected.append((abandoned_after, "abandoned"))
    assert run_virtual(main()) == expected


def test_nothing_is_given_up_after_the_end() -> None:
    """The timer is gone, whether there was one or not."""

    async def main() -> list[tuple[float, str]]:
        dispatcher = Stoppable()
        halt = Halt()
        halt.end()
        halt.attach(cast("Any", dispatcher))
        halt.stop("drained", "on request")
        halt.limit(1)
        halt.end()
        await asyncio.sleep(5)
        return dispatcher.told

    assert [what for _, what in run_virtual(main())] == ["drained"]
