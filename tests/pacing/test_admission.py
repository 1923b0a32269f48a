"""The queue before all buckets: order, room in flight, pauses and the gate."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.dispatch.permits import acquire
from ratedispatch.limits import Limits, Reading
from ratedispatch.outcome import Usage
from ratedispatch.pacing.bucket import Bucket
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.concurrency.slots import Slots
from ratedispatch.pacing.feedback import (
    ABANDONED,
    UNSENT,
    End,
    Feedback,
    Pause,
    Strain,
)
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from tests.pacing.queues import FAST, LIMITS, admission, admit, answered, now, refused, times_of


def admissions(limits: Limits, costs: list[int], most: int = 100) -> list[float]:
    """Times at which requests of *costs* tokens, all there at once, are admitted."""

    async def main() -> list[float]:
        queue = admission(limits, most)
        results = await asyncio.gather(*(admit(queue, i, c) for i, c in enumerate(costs)))
        return [when for _, when in results]

    return run_virtual(main())


class TestOrder:
    """First come, first served; whatever it costs."""

    def test_a_large_request_is_not_passed_by_small_ones(self) -> None:
        """The large one goes in its turn, though small ones would fit."""
        times = admissions(Limits(60_000, 6000, burst_seconds=1), [90, 100, 1, 1, 1])
        assert times == pytest.approx([0, 1, 1.01, 1.02, 1.03])

    def test_a_retry_keeps_its_rank(self) -> None:
        """A low rank goes before everything that came later."""

        async def main() -> list[int]:
            queue = admission(LIMITS)
            order: list[int] = []

            async def go(rank: int) -> None:
                order.append((await admit(queue, rank))[0])

            tasks = [asyncio.create_task(go(rank)) for rank in (1, 2, 3)]
            await asyncio.sleep(0.5)
            tasks.append(asyncio.create_task(go(0)))
            await asyncio.gather(*tasks)
            return order

        assert run_virtual(main()) == [1, 0, 2, 3]

    def test_nobody_passes_a_queue_by_coming_late(self) -> None:
        """A small one waits while a large one does, though it could be paid."""

        async def main() -> None:
            queue = admission(LIMITS)
            await admit(queue, 0, 100)
            waiter = asyncio.create_task(admit(queue, 1, 100))
            await asyncio.sleep(0.99)
            late = asyncio.create_task(admit(queue, 2))
            assert (await waiter)[1] == pytest.approx(1)
            assert (await late)[1] == pytest.approx(2)

        run_virtual(main())

    @settings(deadline=None, max_examples=30)
    @given(
        costs=st.lists(st.integers(1, 900), min_size=1, max_size=40),
        rpm=st.integers(30, 6000),
        tpm=st.integers(1000, 60_000),
        burst=st.floats(0, 5),
    )
    def test_the_queue_adds_no_wait_to_that_for_the_budget(
        self, costs: list[int], rpm: int, tpm: int, burst: float
    ) -> None:
        """All go in order, and each when the budget can pay for it."""
        limits = Limits(rpm, tpm, burst_seconds=burst)
        times = admissions(limits, costs, most=1000)
        assert times == sorted(times)
        assert times == pytest.approx(times_of(limits, costs), abs=1e-6)


class TestInFlight:
    """Room, and who gives it back."""

    def test_no_more_than_may_be_are_in_flight(self) -> None:
        """Nobody is admitted, and nothing is spent, while there is no room."""

        async def main() -> None:
            queue = admission(Limits(60_000), 2)
            one, _two = [await acquire(queue, Cost(1), i) for i in range(2)]
            third = asyncio.create_task(acquire(queue, Cost(1), 2))
            await asyncio.sleep(5)
            assert not third.done()
            assert queue.snapshot().levels[0].spent == 2
            one.report(ABANDONED)
            assert (await third).waited == 5
            assert queue.snapshot().in_flight == 2

        run_virtual(main())

    def test_a_cancelled_waiter_spends_nothing_and_does_not_block_the_queue(self) -> None:
        """Cancelling the head lets the next go in its time."""

        async def main() -> None:
            queue = admission(LIMITS)
            await admit(queue, 0)
            head = asyncio.create_task(admit(queue, 1, 100))
            other = asyncio.create_task(admit(queue, 2))
            await asyncio.sleep(0.1)
            head.cancel()
            assert (await other)[1] == pytest.approx(1.0)
            assert queue.snapshot().levels[1].spent == 2

        run_virtual(main())

    def test_a_permit_granted_in_the_turn_of_its_cancellation_is_given_back(self) -> None:
        """The grant and the cancellation cross: nothing stays in flight, nothing is spent."""

        async def main() -> None:
            queue = admission(LIMITS, 1)
            first = await acquire(queue, Cost(1), 0)
            waiter = asyncio.create_task(acquire(queue, Cost(1), 1))
            await asyncio.sleep(2)
            first.report(ABANDONED)  # grants to the waiter, which has not run yet
            assert queue.in_flight == 1
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            assert queue.snapshot().in_flight == 0
            assert queue.snapshot().levels[0].spent == 1

        run_virtual(main())

    def test_another_concurrency_limit_takes_effect_at_once(self) -> None:
        """Those for whom there is room now go in the same turn."""

        async def main() -> None:
            queue = admission(FAST, 1)
            tasks = [asyncio.create_task(acquire(queue, Cost(1), i)) for i in range(4)]
            await asyncio.sleep(1)
            queue.lanes[0].brake.concurrency = FixedLimit(3)
            queue.look_again()
            await asyncio.sleep(0)
            assert [task.done() for task in tasks] == [True, True, True, False]
            assert queue.snapshot().max_in_flight == 3
            tasks[3].cancel()

        run_virtual(main())

    def test_a_server_without_room_is_sent_fewer_at_once(self) -> None:
        """With ten in flight one is refused for want of room: fewer from then on, no pause."""

        async def main() -> None:
            queue = admission(FAST, 100)
            permits = [await acquire(queue, Cost(1), i) for i in range(10)]
            await asyncio.sleep(1)
            full = Feedback(End.REFUSED, strain=Strain.QUEUE_FULL)
            assert list(permits[0].report(full)) == []
            assert queue.snapshot().max_in_flight == 8
            assert queue.snapshot().paused == 0
            (pause,) = permits[1].report(full)
            assert pause == Pause(0.4)

        run_virtual(main())

    def test_queues_that_share_places_wake_one_another(self) -> None:
        """One place for two queues: the second goes when the first gives it back."""

        async def main() -> float:
            slots = Slots(1)
            first, second = (admission(FAST, 10, slots=slots) for _ in range(2))
            permit = await acquire(first, Cost(1))
            waiter = asyncio.create_task(admit(second, 0))
            await asyncio.sleep(3)
            permit.cancel()
            return (await waiter)[1]

        assert run_virtual(main()) == 3


class TestPermit:
    """Closed exactly once."""

    @pytest.mark.parametrize("first", [UNSENT, ABANDONED, answered(), refused(1.0)])
    def test_a_permit_is_reported_once_and_cancelled_at_will(self, first: Feedback) -> None:
        """A second report is a mistake that shows; a cancellation of a closed one does nothing."""

        async def main() -> None:
            queue = admission(LIMITS, 1)
            permit = await acquire(queue, Cost(1))
            permit.report(first)
            with pytest.raises(RuntimeError, match="exactly once"):
                permit.report(ABANDONED)
            spent = queue.snapshot().levels[0].spent
            permit.cancel()
            permit.cancel()
            assert queue.snapshot().levels[0].spent == spent
            assert queue.snapshot().in_flight == 0

        run_virtual(main())

    def test_cancelling_gives_everything_back(self) -> None:
        """It was not sent, so it does not count."""

        async def main() -> None:
            queue = admission(LIMITS, 1)
            (await acquire(queue, Cost(80))).cancel()
            assert [level.available for level in queue.snapshot().levels] == [1, 80]
            assert [level.spent for level in queue.snapshot().levels] == [0, 0]

        run_virtual(main())

    @pytest.mark.parametrize("is_broken", [False, True])
    def test_a_block_without_a_report_leaves_the_cost_spent(self, is_broken: bool) -> None:
        """Nobody knows what it used, whether it ended well or not."""

        async def main() -> None:
            queue = admission(LIMITS, 1)
            with contextlib.suppress(LookupError), await acquire(queue, Cost(80)):
                if is_broken:
                    raise LookupError("a mistake")
            assert [level.spent for level in queue.snapshot().levels] == [1, 80]
            assert queue.snapshot().in_flight == 0

        run_virtual(main())

    def test_what_is_given_back_is_no_negative_use(self) -> None:
        """Permits of long ago that are cancelled now were used then, and are not taken off now."""

        async def main() -> list[float]:
            queue = admission(Limits(requests_per_minute=600, burst_seconds=10), 1_000)
            permits = [await acquire(queue, Cost(1), rank) for rank in range(100)]
            await asyncio.sleep(20)
            for permit in permits:
                permit.cancel()
            shares = []
            for _ in range(20):
                await asyncio.sleep(1)
                shares.append(queue.snapshot().levels[0].share)
            return shares

        # a slice in which nothing happened is left out as a whole, when its end is 15 s ago
        assert run_virtual(main()) == pytest.approx([100 / (15 * 10)] * 14 + [0] * 6)

    def test_a_refund_wakes_the_head_of_the_queue(self) -> None:
        """Where the provider gives back, a permit that used less lets the next go at once."""

        async def main() -> float:
            queue = admission(Limits(60_000, 6000, burst_seconds=1), refunds=True)
            permit = await acquire(queue, Cost(20, 80), 0)
            waiter = asyncio.create_task(admit(queue, 1, 60))
            await asyncio.sleep(0.1)
            permit.report(Feedback(End.FAILED, Usage(20, 20)))
            return (await waiter)[1]

        assert run_virtual(main()) == 0.1


def test_a_wait_shorter_than_the_clock_can_tell_comes_to_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rounding leaves next to nothing missing, and now + wait is now: two are asked, twice."""
    start = 512.96
    asked = []

    def wait(self: Bucket, amount: float, at: float) -> float:
        asked.append(at)
        return 3.6e-14 if at == start else 0.0

    monkeypatch.setattr(Bucket, "wait", wait)

    async def main() -> float:
        _, when = await admit(admission(LIMITS, 1), 0, 10)
        return when

    assert run_virtual(main(), start=start) == pytest.approx(start)
    # at once, and when the alarm rings
    assert [at == start for at in asked] == [True] * 2 + [False] * 2


@pytest.mark.parametrize("is_reversed", [False, True])
def test_two_limits_of_one_answer_are_in_force_before_anybody_is_granted(
    is_reversed: bool,
) -> None:
    """
    Nothing is granted on a half-updated budget.

    The first answer lets the nine requests go that were held back, and says that there are only
    600 tokens a minute. On the first half alone nine would go; on both one goes, and each further
    one when its ten tokens have flowed in.
    """

    async def main() -> list[float]:
        queue = admission(Limits(600, "auto", burst_seconds=1))
        permit = await acquire(queue, Cost(10), 0)
        times: list[float] = []

        async def go(rank: int) -> None:
            await acquire(queue, Cost(10), rank)
            times.append(now())

        tasks = [asyncio.create_task(go(rank)) for rank in range(1, 100)]
        await asyncio.sleep(0.05)
        readings = [Reading("requests", 599, 600, 60), Reading("tokens", 590, 600, 60)]
        changes: Any = permit.report(answered(*(reversed(readings) if is_reversed else readings)))
        assert {change.rate.dimension: change.rate.per_minute for change in changes} == {
            "tokens": 600
        }
        assert [level.per_minute for level in queue.snapshot().levels] == [600, 600]
        assert queue.in_flight == 1
        await asyncio.sleep(2.5)
        for task in tasks:
            task.cancel()
        return times

    assert run_virtual(main()) == pytest.approx([0.05, 1.05, 2.05])


def test_queues_of_one_budget_stay_within_it_together() -> None:
    """Two queues of ten each, over one bucket of one a second: twenty in nineteen seconds."""

    async def main() -> list[float]:
        budget = LocalBudget(LIMITS)
        queues = [admission(LIMITS, budget=budget) for _ in range(2)]
        results = await asyncio.gather(*(admit(queues[i % 2], i) for i in range(20)))
        assert budget.levels(now())[0].spent == 20
        return sorted(when for _, when in results)

    assert run_virtual(main()) == pytest.approx(list(range(20)))
