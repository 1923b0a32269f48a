"""Many requests in, outcomes out: what is left behind, and what is read ahead."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.outcome import Failed
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.request import Request

LIMITS = Limits(60_000)
GROUPS = LimitGroups(
    (LimitGroup("one", ("gpt-4o",), LIMITS), LimitGroup("other", ("gpt-4.1",), LIMITS))
)


def dispatcher(limits: Limits | LimitGroups = LIMITS, **options: Any) -> Dispatcher:
    transport = ProviderTransport(ProviderSettings(latency=0.5), random.Random(1))
    return Dispatcher(transport, limits, max_in_flight=20, rng=random.Random(1), **options)


def many(count: int) -> Iterator[Request]:
    models = ("gpt-4o", "gpt-4.1")
    return (chat(number, model=models[number % 2]) for number in range(count))


@pytest.mark.parametrize("limits", [LIMITS, GROUPS], ids=["one line", "groups"])
def test_whoever_leaves_early_leaves_room_for_the_next(limits: Limits | LimitGroups) -> None:
    """By leaving the loop, and by giving up; again and again, on one dispatcher."""

    async def main() -> int:
        async with dispatcher(limits) as sender:
            for _ in range(40):
                async with aclosing(sender.map(many(600))) as outcomes:
                    async for _outcome in outcomes:
                        break
                try:
                    async with asyncio.timeout(0.1):
                        async for _outcome in sender.map(many(600)):
                            pass
                except TimeoutError:
                    pass
            assert sender.snapshot().in_flight == sender.snapshot().waiting == 0
            return len([outcome async for outcome in sender.map(many(600))])

    assert run_virtual(main()) == 600


def test_one_that_is_not_read_keeps_no_other_one_waiting() -> None:
    async def main() -> int:
        async with dispatcher() as sender, aclosing(sender.map(many(1_000))) as slow:
            await anext(slow)
            await asyncio.sleep(60)  # what it may have open is open
            return len([outcome async for outcome in sender.map(many(5))])

    assert run_virtual(main()) == 5


@pytest.mark.parametrize(
    ("limits", "request_", "ahead"),
    [
        (Limits(60_000, 100), chat(0, cap=5_000), 177),
        (GROUPS, chat(0, model="unknown"), 157),
    ],
    ids=["too large", "without limits"],
)
def test_a_source_without_end_whose_rows_cannot_go_is_read_as_far_as_it_is_taken(
    limits: Limits | LimitGroups, request_: Request, ahead: int
) -> None:
    """What may be open, or 256 failures, and one that waits for room."""
    read = 0

    def source() -> Iterator[Request]:
        nonlocal read
        while True:
            read += 1
            yield request_

    async def main() -> None:
        async with dispatcher(limits) as sender, aclosing(sender.map(source())) as outcomes:
            for _ in range(100):
                assert isinstance(await anext(outcomes), Failed)

    run_virtual(main())
    assert read == 100 + ahead


def test_a_source_may_be_an_iterator_that_cannot_be_iterated_over_itself() -> None:
    """Python asks no more of what ``iter()`` returns than a ``__next__``."""

    class Source:
        def __init__(self) -> None:
            self.rows = many(5)

        def __iter__(self) -> Any:
            return Bare(self.rows)

    class Bare:
        def __init__(self, rows: Iterator[Request]) -> None:
            self.rows = rows

        def __next__(self) -> Request:
            return next(self.rows)

    async def main() -> int:
        async with dispatcher() as sender:
            return len([outcome async for outcome in sender.map(Source())])

    assert run_virtual(main()) == 5


@pytest.mark.parametrize("is_resting", [False, True])
def test_however_often_a_stop_is_said_its_reason_is_raised(is_resting: bool) -> None:
    async def main() -> None:
        faults = {"500": 1.0} if is_resting else {}
        settings = ProviderSettings(latency=5.0, faults=faults)
        sender = Dispatcher(ProviderTransport(settings, random.Random(1)), LIMITS)
        task = asyncio.create_task(sender.submit(chat(1)))
        await asyncio.sleep(0.01 if is_resting else 1)
        sender.stop("enough", "enough is enough")
        sender.abandon()
        sender.abandon()
        with pytest.raises(Stopped, match="enough is enough"):
            await task

    run_virtual(main())


@pytest.mark.parametrize("limits", [LIMITS, GROUPS], ids=["one line", "groups"])
def test_what_is_no_request_is_named_after_the_outcomes_before_it(
    limits: Limits | LimitGroups,
) -> None:
    """As an error of the source is, and not as one inside of a group."""

    async def main() -> int:
        ended = 0
        async with dispatcher(limits) as sender:
            outcomes = sender.map([*many(3), {"model": "gpt-4o"}])  # type: ignore[list-item]
            for _ in range(3):
                ended += (await anext(outcomes)).request.model.startswith("gpt")
            with pytest.raises(TypeError, match=r"expected a Request, got dict; Request\.chat"):
                await anext(outcomes)
            with pytest.raises(TypeError, match="got str"):
                await sender.submit("Hello")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="expected a Cost, got Request"):
                sender.permit(chat(1))  # type: ignore[arg-type]
        return ended

    assert run_virtual(main()) == 3


def test_a_budget_in_the_place_of_limits_is_told_where_it_belongs() -> None:
    """Both say what may be spent."""

    async def main() -> None:
        with pytest.raises(TypeError, match="got LocalBudget; pass a budget as"):
            dispatcher(LocalBudget(LIMITS))  # type: ignore[arg-type]

    run_virtual(main())
