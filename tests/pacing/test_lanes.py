"""Several lanes behind one queue: where a request goes, and who waits for whom."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.dispatch.permits import LoopAlarm, acquire
from ratedispatch.errors import CostExceedsLimit, Stopped
from ratedispatch.limits import Limits
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.feedback import ABANDONED
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.pacing.turn import FIRST_COME
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from tests.pacing.queues import NoJitter, refused

if TYPE_CHECKING:
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.turn import Turn


def lane(
    name: str, *, rpm: int = 60, tpm: int | None = None, most: int = 100, burst: float = 0
) -> Lane:
    """Return a lane that lets one request through every second, unless told otherwise."""
    budget = LocalBudget(Limits(rpm, tpm, burst_seconds=burst))
    return Lane(budget, FixedLimit(most), rng=NoJitter(), name=name)


def tied(*lanes: Lane) -> Turn:
    return dataclasses.replace(FIRST_COME, lanes=frozenset(lanes))


def now() -> float:
    return asyncio.get_running_loop().time()


class Log:
    """Sends through a queue, and notes what went, when, and on which lane."""

    def __init__(self, *lanes: Lane) -> None:
        self.queue = Admission(lanes, LoopAlarm())
        self.went: list[tuple[str, float, str]] = []
        self.open: list[Permit] = []
        self._rank = 0
        self.tasks: list[asyncio.Task[None]] = []

    def send(self, name: str, turn: Turn = FIRST_COME, tokens: int = 1, **rest: Any) -> None:
        """Let *name* wait in the queue from the next turn of the loop on."""
        self._rank += 1
        rank = rest.pop("rank", self._rank)
        self.tasks.append(asyncio.create_task(self._send(name, turn, tokens, rank)))

    async def _send(self, name: str, turn: Turn, tokens: int, rank: int) -> None:
        permit = await acquire(self.queue, Cost(tokens), rank, turn)
        self.went.append((name, round(now(), 3), permit.lane.name))
        self.open.append(permit)

    def close(self) -> None:
        """Close all permits."""
        while self.open:
            self.open.pop().report(ABANDONED)

    async def all(self) -> list[tuple[str, float, str]]:
        """Return what went, when all has."""
        await asyncio.gather(*self.tasks)
        for permit in self.open:
            permit.report(ABANDONED)
        assert self.queue.in_flight == 0
        return self.went


def test_a_request_goes_where_it_can_start_soonest() -> None:
    """Three lanes of 1, 2 and 4 a second let 21 requests through in 3 s, each at its own rate."""

    async def main() -> list[tuple[str, float, str]]:
        log = Log(lane("a", rpm=60), lane("b", rpm=120), lane("c", rpm=240))
        for number in range(21):
            log.send(str(number))
        return await log.all()

    went = run_virtual(main())
    assert [name for name, _, _ in went] == [str(number) for number in range(21)]
    assert went[-1][1] == pytest.approx(2.75)
    counts = [sum(where == name for _, _, where in went) for name in "abc"]
    assert counts == [3, 6, 12]


def test_of_lanes_that_can_pay_the_one_with_most_to_spare_is_taken() -> None:
    """Where nothing is short, requests are spread as the rates are; of equals the first goes."""

    async def main() -> list[tuple[str, float, str]]:
        log = Log(lane("slow", rpm=60, burst=4), lane("fast", rpm=180, burst=4))
        for one in log.queue.lanes:  # nothing bursts at the start
            log.send("first", tied(one))
        await asyncio.sleep(60)
        for number in range(8):
            log.send(str(number))
        return (await log.all())[2:]

    went = run_virtual(main())
    assert {when for _, when, _ in went} == {60.0}
    assert "".join(where[0] for _, _, where in went) == "ffsfffsf"


def test_what_is_tied_to_a_lane_waits_there_and_keeps_nobody_from_the_others() -> None:
    """Three for lane a go one a second, while all that came later go on b."""

    async def main() -> list[tuple[str, float, str]]:
        a, b = lane("a"), lane("b")
        log = Log(a, b)
        for number in range(3):
            log.send(f"tied {number}", tied(a))
        for number in range(2):
            log.send(f"free {number}")
        return await log.all()

    assert run_virtual(main()) == [
        ("tied 0", 0.0, "a"),
        ("free 0", 0.0, "b"),
        ("tied 1", 1.0, "a"),
        ("free 1", 1.0, "b"),
        ("tied 2", 2.0, "a"),
    ]


def test_what_is_tied_does_not_pass_what_came_before() -> None:
    """A large one that can go anywhere is not starved by small ones for one of its lanes."""

    async def main() -> list[tuple[str, float, str]]:
        a, b = lane("a", rpm=60_000, tpm=600), lane("b", rpm=60_000, tpm=600)
        log = Log(a, b)
        for name in ("first", "second"):
            log.send(name, tokens=10)
        log.send("large", tokens=30)
        for number in range(3):
            log.send(f"tied {number}", tied(a))
        return await log.all()

    went = run_virtual(main())
    assert [name for name, _, _ in went][:3] == ["first", "second", "large"]


def test_a_lane_that_is_held_leaves_everything_to_the_others() -> None:
    """Those that are tied to it wait until it is released."""

    async def main() -> list[tuple[str, float, str]]:
        a, b = lane("a"), lane("b")
        log = Log(a, b)
        a.hold()
        log.send("tied", tied(a))
        log.send("one")
        log.send("two")
        await asyncio.sleep(2.5)
        assert log.queue.snapshot().waiting == 1
        assert a.snapshot().binding == "unreachable"
        a.release(1)
        log.send("three")
        return await log.all()

    assert run_virtual(main()) == [
        ("one", 0.0, "b"),
        ("two", 1.0, "b"),
        ("tied", 2.5, "a"),
        ("three", 2.5, "b"),
    ]


def test_a_refusal_pauses_its_own_lane_alone() -> None:
    """The other one goes on at its rate."""

    async def main() -> list[tuple[str, float, str]]:
        log = Log(lane("a"), lane("b"))
        log.send("refused")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.open.pop().report(refused(10.0))
        for number in range(3):
            log.send(str(number))
        return await log.all()

    assert run_virtual(main()) == [
        ("refused", 0.0, "a"),
        ("0", 0.0, "b"),
        ("1", 1.0, "b"),
        ("2", 2.0, "b"),
    ]


def test_room_in_flight_is_of_each_lane() -> None:
    """What has no room on one goes on the other, and a permit that is closed lets the next go."""

    async def main() -> list[tuple[str, float, str]]:
        a, b = lane("a", rpm=60_000, most=1), lane("b", rpm=60_000, most=2)
        log = Log(a, b)
        for number in range(4):
            log.send(str(number))
        await asyncio.sleep(1)
        assert [where for _, _, where in log.went] == ["a", "b", "b"]
        assert [one.in_flight for one in (a, b)] == [1, 2]
        log.open.pop(0).report(ABANDONED)
        return await log.all()

    assert run_virtual(main())[-1] == ("3", 1.0, "a")


def test_what_was_tied_to_a_retired_lane_goes_elsewhere_or_fails() -> None:
    """As it is asked for; a lane that is put back is used again, and its permits are closed."""

    async def main() -> None:
        a, b = lane("a"), lane("b")
        log = Log(a, b)
        for number in range(3):
            log.send(str(number), tied(a))
        await asyncio.sleep(0.1)
        log.queue.retire(a)
        assert log.queue.lanes == (b,)
        await log.all()
        assert log.went == [("0", 0.0, "a"), ("1", 0.1, "b"), ("2", 1.1, "b")]
        assert a.in_flight == b.in_flight == 0
        log.send("late", tied(a))  # as one that knows nothing of it
        await asyncio.sleep(3)
        log.queue.add(a)
        log.send("again", tied(a))
        await asyncio.sleep(0.1)
        assert log.went[-2:] == [("late", 2.1, "b"), ("again", 4.1, "a")]
        failing = asyncio.create_task(acquire(log.queue, Cost(1), 99, tied(a)))
        await asyncio.sleep(0)
        log.queue.retire(a, lambda: Stopped("quota", "spent", started=True))
        with pytest.raises(Stopped, match="spent"):
            await failing

    run_virtual(main())


def test_a_cost_goes_only_where_it_fits() -> None:
    """A lane whose limit is smaller is passed over; what fits nowhere is told at once."""

    async def main() -> None:
        small, large = lane("small", rpm=600, tpm=100), lane("large", rpm=600, tpm=1_000)
        log = Log(small, large)
        for number in range(2):
            log.send(str(number), tokens=500)
        await log.all()
        assert [where for _, _, where in log.went] == ["large", "large"]
        with pytest.raises(CostExceedsLimit, match="1,000 tokens per minute"):
            await acquire(log.queue, Cost(2_000))
        with pytest.raises(CostExceedsLimit, match="100 tokens per minute"):
            await acquire(log.queue, Cost(500), 0, tied(small))

    run_virtual(main())


def test_the_state_of_a_queue_is_that_of_all_its_lanes() -> None:
    """Requests that wait are counted once."""

    async def main() -> None:
        log = Log(lane("a", most=2), lane("b", most=3))
        for number in range(5):
            log.send(str(number))
        await asyncio.sleep(0.5)
        state = log.queue.snapshot()
        assert (state.in_flight, state.max_in_flight, state.waiting) == (2, 5, 3)
        assert [level.dimension for level in state.levels] == ["requests", "requests"]
        assert state.binding == "requests"
        assert log.queue.lanes[1].snapshot().waiting == 3
        await log.all()

    run_virtual(main())


def test_closing_fails_all_that_wait_for_whatever_lane() -> None:
    """Tied or not, and all that come later."""

    async def main() -> None:
        a, b = lane("a"), lane("b")
        queue = Admission([a, b], LoopAlarm())
        queue.hold()
        waiters = [
            asyncio.create_task(acquire(queue, Cost(1), 0, turn))
            for turn in (FIRST_COME, tied(a), tied(b))
        ]
        await asyncio.sleep(1)
        queue.close(lambda: Stopped("closed", "no more", started=False))
        for waiter in waiters:
            with pytest.raises(Stopped, match="no more"):
                await waiter
        with pytest.raises(Stopped, match="no more"):
            await acquire(queue, Cost(1), 0, tied(a))
        assert queue.waiting == 0

    run_virtual(main())


def test_who_leaves_lets_the_next_go() -> None:
    """A cancelled wait keeps no lane from anybody."""

    async def main() -> list[tuple[str, float, str]]:
        a, b = lane("a", rpm=60_000, tpm=600), lane("b", rpm=60_000, tpm=600)
        log = Log(a, b)
        log.send("one", tokens=10)
        log.send("two", tokens=10)
        log.send("leaves", tied(b), tokens=600)
        log.send("three", tied(b), tokens=1)
        await asyncio.sleep(0.5)
        log.tasks.pop(2).cancel()
        return await log.all()

    assert run_virtual(main()) == [
        ("one", 0.0, "a"),
        ("two", 0.0, "b"),
        ("three", 1.0, "b"),
    ]


#: For a request: tokens, and the lanes that it is tied to, by their numbers. For a lane: its
#: number, and whether it is held, released, taken out or put back.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 200), st.sets(st.integers(0, 2), max_size=2)),
        st.tuples(st.sampled_from(["hold", "release", "retire", "add"]), st.integers(0, 2)),
        st.tuples(st.just("sleep"), st.floats(0, 3)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
    ),
    max_size=40,
)


def change(queue: Admission, action: str, one: Lane) -> None:
    """Do to a lane what *action* says, but leave the queue one at least."""
    if action in {"hold", "release"}:
        getattr(one, action)()
    elif action == "add":
        queue.add(one)
    elif one in queue.lanes and len(queue.lanes) > 1:
        queue.retire(one)


@settings(deadline=None, max_examples=60)
@given(steps=steps)
def test_whatever_happens_to_lanes_each_request_goes_once_where_it_may(
    steps: list[tuple[Any, ...]],
) -> None:
    """Unless it was cancelled; and never more are in flight on a lane than may be."""

    async def main() -> None:
        lanes = [lane(str(number), rpm=600, tpm=6_000, most=3) for number in range(3)]
        log = Log(*lanes)
        for action, *rest in steps:
            if action == "send":
                tokens, numbers = rest
                turn = tied(*(lanes[number] for number in numbers)) if numbers else FIRST_COME
                log.send(str(len(log.tasks)), turn, tokens)
            elif action == "sleep":
                await asyncio.sleep(rest[0])
            elif action == "cancel":
                if rest[0] < len(log.tasks):
                    log.tasks[rest[0]].cancel()
            else:
                change(log.queue, action, lanes[rest[0]])
            assert all(one.in_flight <= 3 for one in lanes)
            log.close()
        log.queue.release()
        while not all(task.done() for task in log.tasks):
            await asyncio.sleep(1)
            log.close()
        names = [name for name, _, _ in log.went]
        assert len(names) == len(set(names))
        gone = {str(number) for number, task in enumerate(log.tasks) if task.cancelled()}
        assert set(names) | gone == {str(number) for number in range(len(log.tasks))}
        assert log.queue.waiting == sum(one.in_flight for one in lanes) == 0

    run_virtual(main())
