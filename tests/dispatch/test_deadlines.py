"""Deadlines: what ``asyncio.timeout`` promises, with one timer for all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ratedispatch.dispatch.deadlines import Deadlines
from ratedispatch.simulate.clock import run_virtual


def now() -> float:
    return asyncio.get_running_loop().time()


async def sleep_within(deadlines: Deadlines, allowed: float, seconds: float) -> tuple[str, float]:
    try:
        with deadlines.within(allowed):
            await asyncio.sleep(seconds)
    except TimeoutError:
        return "late", now()
    return "done", now()


def test_each_block_ends_at_its_own_deadline() -> None:
    """Whatever the order in which they began."""

    async def main() -> tuple[tuple[str, float], ...]:
        made = Deadlines()
        return await asyncio.gather(
            sleep_within(made, 5, 60),
            sleep_within(made, 3, 60),
            sleep_within(made, 4, 1),
            sleep_within(made, 7, 60),
            sleep_within(made, 3, 60),
        )

    assert tuple(run_virtual(main())) == (
        ("late", 5),
        ("late", 3),
        ("done", 1),
        ("late", 7),
        ("late", 3),
    )


def test_one_timer_is_set_for_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """And again only when it has come."""
    set_for: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call_at = loop.call_at

        def noted(when: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
            set_for.append(when)
            return call_at(when, *args, **options)

        monkeypatch.setattr(loop, "call_at", noted)
        made = Deadlines()
        blocks = []
        for _ in range(10):
            blocks.append(asyncio.ensure_future(sleep_within(made, 10, 60)))
            await asyncio.sleep(1)
        assert [await block for block in blocks] == [("late", 10 + n) for n in range(10)]

    run_virtual(main())
    assert [when for when in set_for if 10 < when < 20] == list(range(11, 20))


@pytest.mark.parametrize(("to", "end"), [(2, ("late", 2)), (20, ("late", 20)), (0, ("late", 1))])
def test_a_deadline_can_be_moved(to: float, end: tuple[str, float]) -> None:
    """Forward, back, and to what is past: then it has run out."""

    async def main() -> tuple[str, float]:
        made = Deadlines()
        try:
            with made.within(10) as deadline:
                asyncio.get_running_loop().call_at(1, deadline.reschedule, to)
                await asyncio.sleep(60)
        except TimeoutError:
            return "late", now()
        return "done", now()

    assert run_virtual(main()) == end


def test_a_deadline_that_has_run_out_stays_so() -> None:
    """It can no longer be moved, not even in the turn in which it ran out."""

    async def main() -> float:
        try:
            with Deadlines().within(10) as deadline:
                asyncio.get_running_loop().call_at(10, deadline.reschedule, 30)
                await asyncio.sleep(60)
        except TimeoutError:
            return now()
        return 0

    assert run_virtual(main()) == 10


def test_a_cancelled_task_is_cancelled() -> None:
    """Even in the turn in which its time is over."""

    async def main() -> bool:
        made = Deadlines()
        task = asyncio.ensure_future(sleep_within(made, 10, 60))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(10, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert run_virtual(main())


def test_a_block_within_another_is_left_by_the_outer_one() -> None:
    """If both run out at once, as those of a dispatcher and of its transport."""

    async def main() -> str:
        outer, inner = Deadlines(), Deadlines()
        try:
            with outer.within(1):
                try:
                    with inner.within(1):
                        await asyncio.sleep(60)
                except TimeoutError:
                    return "inner"
        except TimeoutError:
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            return "outer"
        return "none"

    assert run_virtual(main()) == "outer"


def test_another_loop_has_a_timer_of_its_own() -> None:
    """The one of a loop that has ended never comes."""
    made = Deadlines()
    assert run_virtual(sleep_within(made, 5, 1)) == ("done", 1)
    assert run_virtual(sleep_within(made, 5, 60)) == ("late", 5)


def test_an_answer_that_came_while_the_process_was_suspended_is_read() -> None:
    """The timer is overdue then, and so is what tells of the answer; only silence runs out."""

    async def main() -> list[tuple[str, float]]:
        made, loop = Deadlines(), asyncio.get_running_loop()
        answered, silent = loop.create_future(), loop.create_future()

        async def wait(future: asyncio.Future[None]) -> tuple[str, float]:
            try:
                with made.within(5):
                    await future
            except TimeoutError:
                return "late", now()
            return "done", now()

        blocks = [asyncio.ensure_future(wait(one)) for one in (answered, silent)]
        await asyncio.sleep(1)
        clock, slept = loop.time, 100.0
        loop.time = lambda: clock() + slept  # type: ignore[method-assign]
        loop.call_later(0, lambda: loop.call_soon(answered.set_result, None))
        return await asyncio.gather(*blocks)

    assert run_virtual(main()) == [("done", 101.0), ("late", 102.0)]
