"""A loop that was busy does not send all at once what it was granted meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import ratedispatch as rd
from ratedispatch.dispatch.permits import LoopAlarm
from ratedispatch.testing import run_virtual
from tests.dispatch.wrap.upstream import ASK, Upstream, async_client

if TYPE_CHECKING:
    from collections.abc import Callable

#: Ten a second, and seven at once.
LIMITS = rd.Limits(requests_per_minute=600)


class OtherThread(LoopAlarm):
    """
    A timer that goes on while the loop is busy, as the one of threads does.

    Args:
        at: When the loop begins to be busy, in its own seconds.
        seconds: For how long, which is no time of the loop.
    """

    def __init__(self, at: float, seconds: float) -> None:
        super().__init__()
        self._at = at
        self._hundredths = round(seconds * 100)
        self._busy = 0.0
        self._when = 0.0
        self._callback: Callable[[], None] | None = None
        self.time: Callable[[], float] = self._begin

    def set(self, when: float, callback: Callable[[], None]) -> None:
        """Call *callback* at *when*, busy or not."""
        self._when, self._callback = when, callback
        super().set(when - self._busy, callback)

    def clear(self) -> None:
        """Call nothing."""
        self._callback = None
        super().clear()

    def _begin(self) -> float:
        loop = asyncio.get_running_loop()
        self._bind()
        loop.call_at(self._at, self._work)
        self.time = lambda: loop.time() + self._busy
        return self.time()

    def _work(self) -> None:
        for _ in range(self._hundredths):
            self._busy += 0.01
            if self._callback is not None and self._when <= self.time():
                callback = self._callback
                self.clear()
                callback()


async def ask(client: Any, number: int) -> None:
    said = [{"role": "user", "content": str(number)}]
    await client.chat.completions.create(**ASK | {"messages": said})


@pytest.mark.parametrize("settings", [{}, {"max_wait": 60.0}])
def test_no_more_than_the_burst_leaves_at_once(settings: Any) -> None:
    """Three seconds grant thirty; seven of them go, and the others wait for their turns."""
    upstream = Upstream()
    paces = rd.Gate(LIMITS, alarm=lambda: OtherThread(0.45, 3.0))

    async def main() -> None:
        client = rd.wrap(async_client(upstream), paces, **settings)
        await asyncio.gather(*[ask(client, number) for number in range(60)])

    run_virtual(main())
    found = sorted(Counter(round(at, 2) for at in upstream.at).items())
    assert found[:8] == [
        *((0.0, 7), (0.1, 1), (0.2, 1), (0.3, 1), (0.4, 1)),
        # one more: the last permit is not yet a tenth of a second old
        *((0.45, 8), (0.55, 1), (0.65, 1)),
    ]
    others = [number for number in map(int, upstream.contents) if number != 40]
    assert others == sorted(others)
    assert len(others) == 59
    state = paces.snapshot()
    assert (state.in_flight, state.waiting, state.levels[0].spent) == (0, 0, 60)


@pytest.mark.parametrize("turns", range(3))
def test_a_call_that_is_cancelled_meanwhile_keeps_nothing(turns: int) -> None:
    """Neither its old permit nor a place in the queue."""
    upstream = Upstream()
    paces = rd.Gate(LIMITS, alarm=lambda: OtherThread(0.05, 1.0))

    async def main() -> None:
        client = rd.wrap(async_client(upstream), paces)
        calls = [asyncio.create_task(ask(client, number)) for number in range(20)]
        await asyncio.sleep(0.05)
        assert paces.snapshot().in_flight == 10
        for _ in range(turns):
            await asyncio.sleep(0)
        for call in calls[8:12]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    run_virtual(main())
    assert len(upstream.seen) == 16
    state = paces.snapshot()
    assert (state.in_flight, state.waiting, state.levels[0].spent) == (0, 0, 16)


def test_a_deadline_that_has_passed_fails_that_call_alone() -> None:
    """It was granted in time and came too late; the others go."""
    upstream = Upstream()
    paces = rd.Gate(LIMITS, alarm=lambda: OtherThread(0.05, 3.0))

    async def main() -> list[Any]:
        client = rd.wrap(async_client(upstream), paces)
        with rd.options(deadline=1.0):
            soon = [asyncio.create_task(ask(client, number)) for number in range(10)]
        later = [asyncio.create_task(ask(client, number)) for number in range(10, 20)]
        return await asyncio.gather(*soon, *later, return_exceptions=True)

    ends = run_virtual(main())
    assert [isinstance(end, rd.DeadlineMissed) for end in ends] == [
        *[False] * 7,
        *[True] * 3,
        *[False] * 10,
    ]
    assert len(upstream.seen) == 17
    state = paces.snapshot()
    assert (state.in_flight, state.waiting) == (0, 0)
