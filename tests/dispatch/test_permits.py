"""Permits: in a loop, in threads, and closed exactly once on every path."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.permits import LoopAlarm, acquire, acquire_in_thread
from ratedispatch.dispatch.thread_alarm import ThreadAlarm
from ratedispatch.errors import CostExceedsLimit, DeadlineMissed, InvalidLimits, Stopped
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.outcome import Usage
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.pacing.turn import Turn
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits(60, 6000, burst_seconds=1)
ANSWERED = Feedback(End.ANSWERED, Usage(30, 10), ())


def dispatcher(limits: Limits | LimitGroups = LIMITS, **options: Any) -> Dispatcher:
    transport = ProviderTransport(ProviderSettings(), random.Random(1))
    return Dispatcher(transport, limits, rng=random.Random(1), **options)


def spent(sender: Dispatcher) -> list[float]:
    """What was spent of each limit; nothing may be in flight any more."""
    state = sender.snapshot()
    assert state.in_flight == state.waiting == 0
    return [level.spent for level in state.levels]


class TestScope:
    """`async with dispatcher.permit(cost)`."""

    def test_a_report_inside_closes_it(self) -> None:
        """The end of the block has nothing left to do."""

        async def main() -> None:
            async with dispatcher() as sender:
                async with sender.permit(Cost(80)) as permit:
                    assert sender.snapshot().in_flight == 1
                    permit.report(ANSWERED)
                    assert sender.snapshot().in_flight == 0
                    with pytest.raises(RuntimeError, match="exactly once"):
                        permit.report(ANSWERED)
                assert spent(sender) == [1, 80]

        run_virtual(main())

    def test_a_block_without_a_report_leaves_the_cost_spent(self) -> None:
        """Nobody knows what it used."""

        async def main() -> None:
            async with dispatcher() as sender:
                async with sender.permit(Cost(80)):
                    pass
                assert spent(sender) == [1, 80]

        run_virtual(main())

    def test_an_exception_inside_closes_it_and_is_raised(self) -> None:
        """It may have been sent before, so its cost stays spent."""

        async def main() -> None:
            async with dispatcher() as sender:
                with pytest.raises(LookupError, match="a mistake"):
                    async with sender.permit(Cost(80)):
                        raise LookupError("a mistake")
                assert spent(sender) == [1, 80]

        run_virtual(main())

    def test_a_cancellation_inside_closes_it(self) -> None:
        """As a time-out of the caller's own does."""

        async def main() -> None:
            async with dispatcher() as sender:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(5), sender.permit(Cost(80)):
                        await asyncio.sleep(60)
                assert spent(sender) == [1, 80]

        run_virtual(main())

    def test_a_cancellation_in_the_queue_spends_nothing(self) -> None:
        """The next one goes in its time."""

        async def main() -> float:
            async with dispatcher() as sender:
                async with sender.permit(Cost(80)):
                    pass
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5), sender.permit(Cost(90)):
                        raise AssertionError("it may not go yet")
                async with sender.permit(Cost(1)) as permit:
                    permit.cancel()
                assert spent(sender) == [1, 80]
            return asyncio.get_running_loop().time()

        assert run_virtual(main()) == pytest.approx(1)

    def test_a_cancelled_permit_gives_everything_back(self) -> None:
        """However often that is said."""

        async def main() -> None:
            async with dispatcher() as sender:
                async with sender.permit(Cost(80)) as permit:
                    permit.cancel()
                    permit.cancel()
                assert spent(sender) == [0, 0]

        run_virtual(main())

    def test_a_scope_may_be_entered_again(self) -> None:
        """Each time it waits for a permit of its own."""

        async def main() -> list[float]:
            async with dispatcher() as sender:
                scope, times = sender.permit(Cost(1)), []
                for _ in range(3):
                    async with scope:
                        times.append(asyncio.get_running_loop().time())
                assert spent(sender) == [3, 3]
                return times

        assert run_virtual(main()) == pytest.approx([0, 1, 2])

    def test_what_can_never_go_is_refused_at_once(self) -> None:
        """Too large, without limits, or after a stop: before anything is waited for."""
        groups = LimitGroups((LimitGroup("a", ("gpt-4o",), LIMITS),))

        async def main() -> None:
            sender = dispatcher(groups)
            with pytest.raises(CostExceedsLimit, match="a permit costs 6,001 tokens"):
                sender.permit(Cost(6_001), model="gpt-4o")
            with pytest.raises(InvalidLimits):
                sender.permit(Cost(1), model="gpt-5")
            sender.stop("drained", "enough")
            with pytest.raises(Stopped, match="enough"):
                sender.permit(Cost(1), model="gpt-4o")

        run_virtual(main())

    def test_a_stop_ends_the_wait_for_a_permit(self) -> None:
        """Whoever has one keeps it."""

        async def main() -> None:
            sender = dispatcher()
            async with sender.permit(Cost(1)):
                asyncio.get_running_loop().call_later(0.5, sender.stop, "drained", "enough")
                with pytest.raises(Stopped, match="enough"):
                    async with sender.permit(Cost(1)):
                        raise AssertionError("it may not go any more")
                assert sender.snapshot().in_flight == 1
            assert spent(sender) == [1, 1]

        run_virtual(main())


@pytest.mark.parametrize("is_in_another_thread", [False, True])
@pytest.mark.parametrize("is_closing", [False, True])
def test_a_waiter_whose_loop_is_closed_keeps_no_permit(
    is_in_another_thread: bool, is_closing: bool
) -> None:
    """A queue outlives the loop of one that stood in it, and may be closed after it."""
    budget = LocalBudget(Limits(6e6))
    queue = Admission([Lane(budget, FixedLimit(1), rng=random.Random(1))], ThreadAlarm())
    first = acquire_in_thread(queue, Cost(1))
    loop = asyncio.new_event_loop()
    task = loop.create_task(acquire(queue, Cost(1)))
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()

    def end() -> None:
        if is_closing:
            queue.close(lambda: Stopped("drained", "enough", started=True))
        first.cancel()

    if is_in_another_thread:
        thread = threading.Thread(target=end)
        thread.start()
        thread.join()
    else:
        end()
    assert queue.in_flight == 0


def in_threads(count: int, work: Callable[[int], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


class TestThreads:
    """The same queue among threads; in real time, but at rates that keep it short."""

    @staticmethod
    def queue(limits: Limits, most: int) -> Admission:
        return Admission(
            [Lane(LocalBudget(limits), FixedLimit(most), rng=random.Random(1))], ThreadAlarm()
        )

    @pytest.mark.parametrize("per_minute", [6e7, 1.8e5])
    def test_eight_threads_lose_nothing_and_are_never_more_than_may_be(
        self, per_minute: float
    ) -> None:
        """50 permits each, three in flight at most; with and without waiting for the rate."""
        queue = self.queue(Limits(per_minute), 3)
        lock = threading.Lock()
        peak = count = 0
        done: list[int] = []

        def work(number: int) -> None:
            nonlocal peak, count
            for _ in range(50):
                with acquire_in_thread(queue, Cost(1), number, timeout=5):
                    with lock:
                        count += 1
                        peak = max(peak, count)
                    with lock:
                        count -= 1
                done.append(number)

        for thread in in_threads(8, work):
            thread.join(10)
        assert [done.count(number) for number in range(8)] == [50] * 8
        assert peak <= 3, "how many are in flight at once depends on the machine's threads"
        state = queue.snapshot()
        assert (state.in_flight, state.waiting) == (0, 0)
        assert state.levels[0].spent == 400

    def test_threads_and_an_event_loop_share_one_budget(self) -> None:
        """Each has a queue of its own; together they spend exactly what they were granted."""
        budget = LocalBudget(Limits(3e5))
        threaded = Admission([Lane(budget, FixedLimit(4), rng=random.Random(1))], ThreadAlarm())

        def work(number: int) -> None:
            for _ in range(50):
                acquire_in_thread(threaded, Cost(1), number, timeout=5).report(ANSWERED)

        async def main() -> None:
            looped = Admission([Lane(budget, FixedLimit(4), rng=random.Random(1))], LoopAlarm())

            async def go(rank: int) -> None:
                with await acquire(looped, Cost(1), rank):
                    await asyncio.sleep(0)

            await asyncio.wait_for(asyncio.gather(*(go(rank) for rank in range(100))), 5)
            assert looped.snapshot().in_flight == 0

        threads = in_threads(4, work)
        asyncio.run(main())
        for thread in threads:
            thread.join(10)
        state = threaded.snapshot()
        assert state.in_flight == state.waiting == 0
        assert state.levels[0].spent == 4 * 50 + 100

    def test_threads_and_tasks_stand_in_one_queue(self) -> None:
        """A permit that a task gives back goes to a thread, and the other way round."""
        queue = self.queue(Limits(6e7), 1)

        def work(number: int) -> None:
            for _ in range(20):
                acquire_in_thread(queue, Cost(1), number, timeout=5).report(ANSWERED)

        async def main() -> None:
            async def go(rank: int) -> None:
                with await acquire(queue, Cost(1), rank):
                    await asyncio.sleep(0)

            await asyncio.wait_for(asyncio.gather(*(go(rank % 4) for rank in range(80))), 5)

        threads = in_threads(4, work)
        asyncio.run(main())
        for thread in threads:
            thread.join(10)
        assert queue.in_flight == 0
        assert queue.snapshot().levels[0].spent == 4 * 20 + 80

    def test_threads_with_turns_of_all_kinds_lose_nothing(self) -> None:
        """Priorities, callers, lanes and deadlines, kept and missed: each permit is closed once."""
        lanes = [
            Lane(LocalBudget(Limits(2e5)), FixedLimit(2), rng=random.Random(1), name=name)
            for name in "ab"
        ]
        queue = Admission(lanes, ThreadAlarm(), weights={"1": 3.0})
        missed: list[int] = []

        def work(number: int) -> None:
            for step in range(40):
                turn = Turn(
                    priority=step % 3,
                    caller=str(number % 3),
                    # its own clock, so that no time is left where it is not free at once
                    deadline=queue.alarm.time() + (5 if step % 4 else 0),
                    lanes=frozenset(lanes[:1]) if step % 5 == 0 else None,
                )
                try:
                    acquire_in_thread(queue, Cost(1), number, 5, turn).report(ANSWERED)
                except DeadlineMissed:
                    missed.append(step)

        for thread in in_threads(6, work):
            thread.join(20)
        state = queue.snapshot()
        assert (state.in_flight, state.waiting) == (0, 0)
        assert all(step % 4 == 0 for step in missed)
        assert sum(level.spent for level in state.levels) == 6 * 40 - len(missed)

    def test_a_timeout_gives_nothing_away(self) -> None:
        """What was not granted in time is neither spent nor in flight, nor in the queue."""
        queue = self.queue(Limits(6e7), 1)
        first = acquire_in_thread(queue, Cost(1))
        with pytest.raises(TimeoutError, match=r"no permit within 0\.01 s"):
            acquire_in_thread(queue, Cost(1), timeout=0.01)
        assert queue.snapshot().waiting == 0
        first.report(ANSWERED)
        state = queue.snapshot()
        assert (state.in_flight, state.levels[0].spent) == (0, 1)
        acquire_in_thread(queue, Cost(1), timeout=1).cancel()

    def test_timeouts_and_grants_that_cross_lose_no_place(self) -> None:
        """Threads that give up at any moment, while one place goes from one to the next."""
        queue = self.queue(Limits(6e7), 1)
        granted: list[int] = []

        def work(number: int) -> None:
            rng = random.Random(number)
            for _ in range(30):
                try:
                    permit = acquire_in_thread(queue, Cost(1), 0, rng.uniform(0, 0.0005))
                except TimeoutError:
                    continue
                granted.append(number)
                permit.report(ANSWERED)

        for thread in in_threads(8, work):
            thread.join(10)
        state = queue.snapshot()
        assert (state.in_flight, state.waiting) == (0, 0)
        assert state.levels[0].spent == len(granted)

    def test_closing_wakes_the_threads_that_wait(self) -> None:
        """Each with the reason; so is every one that comes later."""
        queue = self.queue(Limits(6e7), 1)
        first = acquire_in_thread(queue, Cost(1))
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                acquire_in_thread(queue, Cost(1), number, timeout=5)
            except Stopped as stopped:
                errors.append(stopped)

        threads = in_threads(4, work)
        while queue.snapshot().waiting < 4:
            time.sleep(0.001)
        queue.close(lambda: Stopped("drained", "enough", started=True))
        for thread in threads:
            thread.join(10)
        assert len({id(error) for error in errors}) == 4
        with pytest.raises(Stopped, match="enough"):
            acquire_in_thread(queue, Cost(1))
        first.report(ANSWERED)
        assert queue.in_flight == 0
