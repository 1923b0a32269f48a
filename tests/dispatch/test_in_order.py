"""Outcomes in the order of the requests: what waits, how much, and what a stop leaves."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.in_order import InOrder
from ratedispatch.errors import Stopped
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual
from tests.dispatch.scripted import OK, error
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMITS = Limits(600_000)
GROUPS = LimitGroups(
    (LimitGroup("one", ("gpt-4o",), LIMITS), LimitGroup("other", ("gpt-4.1",), LIMITS))
)
MODELS = ("gpt-4o", "gpt-4.1")


class Timed:
    """A transport whose answers take as long as a test says."""

    def __init__(
        self, seconds: Callable[[int], float], answer: Callable[[Request], Response] | None = None
    ) -> None:
        self.seconds = seconds
        self.answer = answer

    async def send(self, request: Request, timeout: float) -> Response:
        await asyncio.sleep(self.seconds(int(request.custom_id or 0)))
        return OK if self.answer is None else self.answer(request)


def many(count: int, *, groups: bool = False) -> Iterator[Request]:
    return (chat(number, model=MODELS[number % 2 * groups]) for number in range(count))


@given(st.permutations(range(8)), st.sets(st.integers(0, 7)))
def test_whatever_the_order_of_arrival_items_leave_in_their_own(
    arrivals: list[int], missing: set[int]
) -> None:
    order: InOrder[int] = InOrder()
    left: list[int] = []
    for place in arrivals:
        order.add(place, None if place in missing else place)
        while (item := order.pop()) is not None:
            left.append(item)
    assert left == [place for place in range(8) if place not in missing]
    assert len(order) == 0


@pytest.mark.parametrize("limits", [LIMITS, GROUPS], ids=["one line", "groups"])
def test_outcomes_come_in_the_order_of_the_requests(limits: Limits | LimitGroups) -> None:
    """However long each takes; failures that are never sent have their places too."""
    rng = random.Random(1)
    requests = [*many(600, groups=isinstance(limits, LimitGroups))]
    bad = Request({"model": "gpt-4o", "messages": {5}}, custom_id="bad")
    requests[7] = requests[299] = bad

    async def main() -> list[Any]:
        transport = Timed(lambda _: rng.uniform(0.1, 20))
        async with Dispatcher(transport, limits, max_in_flight=20) as sender:
            return [outcome async for outcome in sender.map(requests, ordered=True)]

    outcomes = run_virtual(main())
    assert [outcome.request for outcome in outcomes] == requests
    assert [type(outcome) for outcome in outcomes].count(Failed) == 2


def test_no_more_outcomes_wait_than_requests_may_be_open() -> None:
    """20 in flight and 256 beyond them; then reading waits, and goes on when the first has come."""
    read = 0

    def source() -> Iterator[Request]:
        nonlocal read
        for request in many(1_000):
            read += 1
            yield request

    async def main() -> None:
        transport = Timed(lambda number: 0.1 if number else 50)
        async with Dispatcher(transport, LIMITS, max_in_flight=20) as sender:
            outcomes = sender.map(source(), ordered=True)
            first = asyncio.ensure_future(anext(outcomes))
            await asyncio.sleep(49)
            assert not first.done()
            assert read == 20 + 256 + 1  # one is in hand, and waits for room
            assert sender.snapshot().in_flight == 1
            assert (await first).request.custom_id == "0"
            names = [outcome.request.custom_id async for outcome in outcomes]
            assert names == [str(number) for number in range(1, 1_000)]

    run_virtual(main())


def test_a_group_that_takes_long_holds_up_the_others_only_in_their_outcomes() -> None:
    """Each route has room of its own, and so none can keep the others' oldest from going."""

    async def main() -> None:
        transport = Timed(lambda number: 0.1 if number % 2 else 30)
        async with Dispatcher(transport, GROUPS, max_in_flight=20) as sender:
            outcomes = sender.map(many(2_000, groups=True), ordered=True)
            names = [outcome.request.custom_id async for outcome in outcomes]
            assert names == [str(number) for number in range(2_000)]

    run_virtual(main())


def test_whoever_leaves_early_cancels_what_is_in_flight() -> None:
    async def main() -> int:
        transport = Timed(lambda number: 1 + number % 7)
        async with Dispatcher(transport, LIMITS, max_in_flight=20) as sender:
            for _ in range(3):
                async with aclosing(sender.map(many(400), ordered=True)) as outcomes:
                    async for outcome in outcomes:
                        assert outcome.request.custom_id == "0"
                        break
            assert sender.snapshot().in_flight == sender.snapshot().waiting == 0
            return len([outcome async for outcome in sender.map(many(40), ordered=True)])

    assert run_virtual(main()) == 40


@pytest.mark.parametrize("limits", [LIMITS, GROUPS], ids=["one line", "groups"])
def test_after_a_stop_what_was_in_flight_still_comes_in_order(
    limits: Limits | LimitGroups,
) -> None:
    async def main() -> list[int]:
        transport = Timed(lambda number: 5.0 - number % 5)
        names: list[int] = []
        sender = Dispatcher(transport, limits, max_in_flight=20)
        asyncio.get_running_loop().call_later(12, sender.stop, "enough", "it is enough")

        async def read() -> None:
            source = many(10_000, groups=isinstance(limits, LimitGroups))
            async for outcome in sender.map(source, ordered=True):
                names.append(int(outcome.request.custom_id or 0))  # noqa: PERF401  (a stop follows)

        with pytest.raises(Stopped, match="it is enough"):
            await read()
        assert sender.snapshot().in_flight == 0
        return names

    names = run_virtual(main())
    assert len(names) > 60
    assert names == sorted(names)


def test_a_route_that_retires_leaves_gaps_and_the_others_go_on() -> None:
    def answer(request: Request) -> Response:
        spent = request.model == "gpt-4.1" and int(request.custom_id or 0) > 50
        return error(429, "insufficient_quota") if spent else OK

    async def main() -> list[Any]:
        outcomes: list[Any] = []
        sender = Dispatcher(Timed(lambda _: 1.0, answer), GROUPS, max_in_flight=20)

        async def read() -> None:
            async for outcome in sender.map(many(2_000, groups=True), ordered=True):
                outcomes.append(outcome)  # noqa: PERF401  (a stop follows)

        with pytest.raises(Stopped):
            await read()
        return outcomes

    outcomes = run_virtual(main())
    names = [int(outcome.request.custom_id) for outcome in outcomes]
    assert names == sorted(names)
    assert all(isinstance(outcome, Completed) for outcome in outcomes)
    assert {name for name in names if name % 2 == 0} == set(range(0, 2_000, 2))
