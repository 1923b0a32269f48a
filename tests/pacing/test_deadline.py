"""Requests that are not to go after an instant: told at once where that is certain, or then."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.dispatch.permits import LoopAlarm, acquire
from ratedispatch.errors import DeadlineMissed
from ratedispatch.limits import Limits
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.feedback import ABANDONED
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.pacing.turn import FIRST_COME, Turn
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from tests.pacing.queues import NoJitter, admission, refused

if TYPE_CHECKING:
    from collections.abc import Coroutine

#: One request and a hundred tokens a second, and nothing more at once.
LIMITS = Limits(60, 6_000, burst_seconds=0)
TOKENS = Limits(None, 6_000, burst_seconds=0)


def now() -> float:
    return asyncio.get_running_loop().time()


def within(seconds: float, priority: int = 0, caller: str = "") -> Turn:
    return dataclasses.replace(
        FIRST_COME, deadline=now() + seconds, priority=priority, caller=caller
    )


class Sender:
    """Sends one after the other, each when it is its turn, and notes when."""

    def __init__(self, queue: Admission) -> None:
        self.queue = queue
        self.went: dict[str, float] = {}
        self._rank = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def wait(self, name: str, turn: Turn = FIRST_COME, tokens: int = 1) -> None:
        """Wait for the turn of *name*, and close its permit at once."""
        self._rank += 1
        permit = await acquire(self.queue, Cost(tokens), self._rank, turn)
        self.went[name] = round(now(), 6)
        permit.report(ABANDONED)

    async def join(self, name: str, turn: Turn = FIRST_COME, tokens: int = 1) -> None:
        """Let *name* wait in the background."""
        self._tasks.append(asyncio.create_task(self.wait(name, turn, tokens)))
        await asyncio.sleep(0)

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)
        assert self.queue.in_flight == self.queue.waiting == 0


def run(main: Coroutine[Any, Any, None]) -> None:
    run_virtual(main)


def test_what_cannot_go_in_time_is_told_at_once_with_the_earliest_time() -> None:
    """Three wait before it, at one a second: the fourth second is the first possible one."""

    async def main() -> None:
        sender = Sender(admission(LIMITS))
        for name in "abcd":
            await sender.join(name)
        with pytest.raises(DeadlineMissed) as caught:
            await sender.wait("late", within(3.9))
        assert now() == 0
        assert caught.value.earliest == pytest.approx(4.0)
        assert caught.value.allowed == pytest.approx(3.9)
        assert str(caught.value) == (
            "a request of 1 tokens cannot be sent within 3.9 s: the earliest possible time is in "
            "4 s, because 3 requests go before it; allow more time, give it a "
            "higher priority, or raise the limits"
        )
        await sender.join("in time", within(4.0))
        await sender.end()
        assert sender.went == {"a": 0, "b": 1, "c": 2, "d": 3, "in time": 4}

    run(main())


def test_what_is_next_is_told_that_the_limits_do_not_allow_it_earlier() -> None:
    async def main() -> None:
        sender = Sender(admission(LIMITS))
        await sender.join("a")
        with pytest.raises(DeadlineMissed, match="in 1 s, because the limits or a pause"):
            await sender.wait("late", within(0.5))
        await sender.end()

    run(main())


def test_what_waits_is_failed_at_the_instant() -> None:
    """A higher priority came between; those behind it take its place."""

    async def main() -> None:
        sender = Sender(admission(LIMITS))
        await sender.join("a")
        missing = asyncio.create_task(sender.wait("missing", within(1.5)))
        await asyncio.sleep(0)
        await sender.join("urgent", within(60, priority=1))
        await sender.join("next")
        with pytest.raises(DeadlineMissed, match=r"was not sent within 1.5 s, and 1 others wait"):
            await missing
        assert now() == 1.5
        await sender.end()
        assert sender.went == {"a": 0, "urgent": 1, "next": 2}

    run(main())


def test_the_instant_itself_is_in_time() -> None:
    async def main() -> None:
        sender = Sender(admission(LIMITS))
        await sender.join("a")
        await sender.join("b", within(1.0))
        await sender.end()
        assert sender.went == {"a": 0, "b": 1}

    run(main())


def test_it_is_failed_though_the_queue_waits_for_nothing_but_room() -> None:
    """No timer but its own would wake the queue."""

    async def main() -> None:
        queue = admission(Limits(60_000), 1)
        permit = await acquire(queue, Cost(1))
        with pytest.raises(DeadlineMissed):
            await acquire(queue, Cost(1), 1, within(5))
        assert now() == 5
        assert queue.waiting == 0
        permit.report(ABANDONED)
        (await acquire(queue, Cost(1), 2, within(5))).report(ABANDONED)

    run(main())


def test_a_deadline_behind_the_head_has_a_timer_too() -> None:
    """And after it the queue is woken for the head again."""

    async def main() -> None:
        sender = Sender(admission(TOKENS))
        await sender.join("a", tokens=1_000)
        await sender.join("b")
        waiter = asyncio.create_task(sender.wait("c", within(20, caller="c"), 1))
        await asyncio.sleep(0)
        await sender.join("d", within(1_000, priority=1), 1_500)
        with pytest.raises(DeadlineMissed):
            await waiter
        assert now() == 20
        await sender.end()
        assert sender.went == {"a": 0, "d": 10, "b": 25}

    run(main())


def test_one_that_has_passed_before_it_came_goes_nowhere() -> None:
    """Though it could go at once: a retry that comes too late."""

    async def main() -> None:
        queue = admission(LIMITS)
        with pytest.raises(DeadlineMissed, match="passed 1 s before it entered the queue"):
            await acquire(queue, Cost(1), 0, within(-1.0))
        assert queue.in_flight == 0

    run(main())


def test_one_without_any_time_left_ends_behind_another_one_too() -> None:
    """It is not the next, and the alarm that is set for it still rings for the others."""

    async def main() -> None:
        sender = Sender(admission(Limits(30, 1_000, burst_seconds=4)))
        await sender.join("a")
        await sender.join("b")
        with pytest.raises(DeadlineMissed):
            await sender.wait("none", within(0.0, caller="c"))
        await sender.end()
        assert list(sender.went) == ["a", "b"]

    run(main())


def test_a_pause_and_a_debt_count() -> None:
    async def main() -> None:
        queue = admission(TOKENS)
        permit = await acquire(queue, Cost(500))
        with pytest.raises(DeadlineMissed) as caught:
            await acquire(queue, Cost(1), 1, within(1))
        assert caught.value.earliest == pytest.approx(5.0)
        permit.report(refused(30.0))
        with pytest.raises(DeadlineMissed) as caught:
            await acquire(queue, Cost(1), 1, within(1))
        assert caught.value.earliest == pytest.approx(30.0)

    run(main())


def test_shares_of_other_callers_count_and_their_backlog_does_not() -> None:
    """Ten of another caller wait, and with equal weights one of them goes before it at most."""

    async def main() -> None:
        sender = Sender(admission(TOKENS))
        await sender.join("first", dataclasses.replace(FIRST_COME, caller="a"), 100)
        for number in range(10):
            await sender.join(f"a{number}", dataclasses.replace(FIRST_COME, caller="a"), 100)
        await sender.join("b", within(3.0, caller="b"), 100)
        await asyncio.sleep(3.0)
        assert sender.went["b"] <= 2.0
        with pytest.raises(DeadlineMissed) as caught:
            await sender.wait("a late", within(3.0, caller="a"), 100)
        assert caught.value.earliest is not None
        assert caught.value.earliest >= 6
        await sender.end()

    run(main())


def test_what_several_lanes_pay_together_counts() -> None:
    """Twenty requests wait for two lanes of one and three a second: five seconds."""

    async def main() -> None:
        def lane(rpm: int) -> Lane:
            budget = LocalBudget(Limits(rpm, burst_seconds=0))
            return Lane(budget, FixedLimit(100), rng=NoJitter())

        sender = Sender(Admission([lane(60), lane(180)], LoopAlarm()))
        for number in range(22):
            await sender.join(str(number))
        with pytest.raises(DeadlineMissed) as caught:
            await sender.wait("late", within(1.0))
        assert caught.value.earliest == pytest.approx(21 / 4)
        await sender.end()
        assert sender.went["21"] == pytest.approx(5.0)

    run(main())


turns = st.tuples(st.integers(0, 2), st.sampled_from(["", "a", "b"]))


@settings(deadline=None, max_examples=60)
@given(
    before=st.lists(st.tuples(st.integers(1, 900), turns), max_size=25),
    mine=st.tuples(st.integers(1, 900), turns),
    rpm=st.integers(30, 600),
    tpm=st.integers(1_000, 60_000),
    burst=st.floats(0, 5),
)
def test_what_is_told_to_be_impossible_would_have_been(
    before: list[tuple[int, tuple[int, str]]],
    mine: tuple[int, tuple[int, str]],
    rpm: int,
    tpm: int,
    burst: float,
) -> None:
    """The same request without a deadline goes no sooner than the earliest time that was told."""

    async def main() -> None:
        sender = Sender(admission(Limits(rpm, tpm, burst_seconds=burst), weights={"a": 3.0}))
        for number, (tokens, (priority, caller)) in enumerate(before):
            await sender.join(
                str(number), Turn(priority=priority, caller=caller, session="other"), tokens
            )
        tokens, (priority, caller) = mine
        came = now()
        told = None
        try:
            await sender.join("mine", within(0.0, priority, caller), tokens)
            await asyncio.sleep(0)
            await sender._tasks.pop()
        except DeadlineMissed as missed:
            told = missed.earliest
        if told is not None:
            await sender.join("again", Turn(priority, caller, session="other"), tokens)
        await sender.end()
        if told is not None:
            assert sender.went["again"] - came >= told - 1e-5

    run_virtual(main())
