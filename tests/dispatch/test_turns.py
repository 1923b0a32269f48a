"""Priorities and callers, from the call to the wire."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import DeadlineMissed, TransportError
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from tests.dispatch.scripted import OK, Scripted, error
from tests.dispatch.world import chat

#: One request a second, and nothing at once.
SLOW = Limits(60, burst_seconds=0)


def dispatcher(transport: Scripted, limits: Limits = SLOW, **options: Any) -> Dispatcher:
    return Dispatcher(transport, limits, rng=random.Random(1), **options)


async def submit_all(sender: Dispatcher, *turns: dict[str, Any]) -> None:
    """Submit one request of each turn, all at once, named by their numbers."""
    calls = [sender.submit(chat(number), **turn) for number, turn in enumerate(turns)]
    for outcome in await asyncio.gather(*calls):
        assert isinstance(outcome, Completed)


def sent(*turns: dict[str, Any], **options: Any) -> str:
    """Return the numbers of the requests in the order in which they were sent."""

    async def main() -> str:
        transport = Scripted(lambda _request, _number: OK)
        await submit_all(dispatcher(transport, **options), *turns)
        return "".join(str(name) for name, _ in transport.sent)

    return run_virtual(main())


def test_higher_priorities_are_sent_first() -> None:
    """The first one goes before the others have come."""
    assert sent({}, {}, {"priority": 1}, {"priority": -1}, {"priority": 1}, {}) == "024153"


def test_callers_take_turns() -> None:
    """Though the first of them has come with all its requests before the other one."""
    a, b = {"caller": "a"}, {"caller": "b"}
    assert sent(a, a, a, a, b, b) == "014253"


def test_a_caller_of_weight_three_sends_three_for_one() -> None:
    """Within one priority; a priority above it goes first all the same."""
    a, b = {"caller": "a"}, {"caller": "b"}
    assert sent(a, a, a, a, b, b, {"priority": 1}, weights={"a": 3.0}) == "0614235"


def test_weights_that_are_far_apart_hold_nobody_up() -> None:
    """Beside the largest the smallest is lost in their sum, which was 0 once that had left."""
    a, b = {"caller": "a"}, {"caller": "b"}
    assert sent(a, b, a, b, a, b, weights={"a": 1e6, "b": 1e-6}) == "012435"


def test_a_deadline_that_is_no_number_is_told() -> None:
    async def main() -> None:
        sender = dispatcher(Scripted(lambda _request, _number: OK))
        with pytest.raises(TypeError, match="deadline must be a number of seconds from now, not"):
            await sender.submit(chat(1), deadline="5")  # type: ignore[arg-type]

    run_virtual(main())


def test_what_is_not_sent_again_in_time_keeps_what_the_server_said() -> None:
    async def main() -> None:
        sender = dispatcher(Scripted(lambda _request, _number: error(500, "broken")))
        outcome = await sender.submit(chat(1), deadline=3)
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.attempts) == ("deadline_missed", 2)
        assert outcome.response is not None
        assert outcome.response.status == 500

    run_virtual(main())


def test_a_map_gives_way_to_a_priority_above_it() -> None:
    """Its next request waits for one that was submitted meanwhile."""

    async def main() -> list[str | None]:
        transport = Scripted(lambda _request, _number: OK)
        sender = dispatcher(transport)

        async def job() -> None:
            async for _ in sender.map((chat(f"row {row}") for row in range(4)), caller="job"):
                pass

        task = asyncio.create_task(job())
        await asyncio.sleep(1.5)
        await sender.submit(chat("question"), priority=1)
        await task
        return [name for name, _ in transport.sent]

    assert run_virtual(main()) == ["row 0", "row 1", "question", "row 2", "row 3"]


def test_a_retry_keeps_priority_and_rank() -> None:
    """What was refused goes again before all that waits with a lower priority, in its old place."""

    async def main() -> str:
        answers = {1: error(429, "rate_limit_exceeded", retry_after="2")}
        transport = Scripted(lambda _request, number: answers.get(number, OK))
        await submit_all(dispatcher(transport), {"priority": 1}, {}, {}, {"priority": 1})
        return "".join(str(name) for name, _ in transport.sent)

    order = run_virtual(main())
    assert order[0] == "0"
    assert order.index("0", 1) < order.index("2")
    assert sorted(order) == list("00123")


def test_a_permit_waits_by_its_priority() -> None:
    async def main() -> list[str]:
        sender = dispatcher(Scripted(lambda _request, _number: OK))
        went = []

        async def work(name: str, **turn: Any) -> None:
            async with sender.permit(Cost(1), **turn):
                went.append(name)

        async with asyncio.TaskGroup() as group:
            for name, turn in (("a", {}), ("b", {}), ("c", {"priority": 2}), ("d", {})):
                group.create_task(work(name, **turn))
        return went

    assert run_virtual(main()) == ["a", "c", "b", "d"]


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({"priority": 1.5}, "priority must be a whole number, not 1.5"),
        ({"priority": "high"}, "priority must be a whole number, not 'high'"),
        ({"caller": 7}, "caller must be a string, not 7"),
        ({"session": 7}, "session must be a string, not 7"),
    ],
)
def test_a_turn_that_means_nothing_is_refused_at_once(turn: dict[str, Any], message: str) -> None:
    async def main() -> None:
        sender = dispatcher(Scripted(lambda _request, _number: OK))
        with pytest.raises(TypeError, match=message):
            await sender.submit(chat(0), **turn)

    run_virtual(main())


def test_a_cancelled_call_leaves_its_place_to_others() -> None:
    """Wherever it waits."""

    async def main() -> str:
        transport = Scripted(lambda _request, _number: OK)
        sender = dispatcher(transport)
        turns = [{}, {"priority": 1}, {"caller": "b"}, {"priority": 1}, {"caller": "b"}]
        tasks = [
            asyncio.create_task(sender.submit(chat(number), **turn))  # type: ignore[arg-type]
            for number, turn in enumerate(turns)
        ]
        await asyncio.sleep(0.5)
        assert sender.snapshot().waiting == 4
        for number in (1, 2):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sender.snapshot().waiting == sender.snapshot().in_flight == 0
        return "".join(str(name) for name, _ in transport.sent)

    assert run_virtual(main()) == "034"


class TestDeadlines:
    """What cannot be sent in time is an outcome, of `submit`, and an error of `permit`."""

    def test_what_is_impossible_fails_at_once(self) -> None:
        """Two wait before it at one a second, and it has two seconds and a half."""

        async def main() -> None:
            sender = dispatcher(Scripted(lambda _request, _number: OK))
            others = [asyncio.create_task(sender.submit(chat(number))) for number in range(3)]
            await asyncio.sleep(0)
            outcome = await sender.submit(chat("late"), deadline=2.5)
            assert asyncio.get_running_loop().time() == 0
            assert isinstance(outcome, Failed)
            assert (outcome.code, outcome.attempts, outcome.response) == (
                "deadline_missed",
                0,
                None,
            )
            assert isinstance(outcome.error, DeadlineMissed)
            assert (outcome.error.earliest, outcome.error.allowed) == (3.0, 2.5)
            in_time = await sender.submit(chat("in time"), deadline=3.0)
            assert isinstance(in_time, Completed)
            await asyncio.gather(*others)

        run_virtual(main())

    def test_a_deadline_counts_from_the_call(self) -> None:
        """It ends the wait and not an answer: sent in time, it is waited for."""

        async def main() -> None:
            sender = dispatcher(Scripted(lambda _request, _number: OK))
            first = asyncio.create_task(sender.submit(chat(0)))
            await asyncio.sleep(0.5)
            outcome = await sender.submit(chat(1), deadline=0.6)
            assert isinstance(outcome, Completed)
            assert asyncio.get_running_loop().time() == 2.0
            await first

        run_virtual(main())

    def test_a_further_attempt_has_to_be_in_time_too(self) -> None:
        """The server is busy, and the second attempt is not made after the deadline."""

        async def main() -> None:
            transport = Scripted(lambda _request, _number: error(500))
            outcome = await dispatcher(transport).submit(chat(0), deadline=5.0)
            assert isinstance(outcome, Failed)
            assert outcome.code == "deadline_missed"
            assert outcome.attempts == len(transport.sent) > 1
            assert asyncio.get_running_loop().time() <= 5.0
            assert "was not answered in" in outcome.message

        run_virtual(main())

    def test_it_is_missed_while_the_server_is_away(self) -> None:
        """Then nothing waits in the queue, and nobody knows for how long."""

        async def main() -> None:
            away = TransportError("refused", reached=False)
            transport = Scripted(lambda _request, number: OK if number == 1 else away)
            sender = dispatcher(transport)
            assert isinstance(await sender.submit(chat(0)), Completed)
            outcome = await sender.submit(chat(1), deadline=60.0)
            assert isinstance(outcome, Failed)
            assert outcome.code == "deadline_missed"
            assert asyncio.get_running_loop().time() == pytest.approx(61.0, abs=1.0)

        run_virtual(main())

    def test_a_permit_raises(self) -> None:
        async def main() -> None:
            sender = dispatcher(Scripted(lambda _request, _number: OK))
            async with sender.permit(Cost(1)):
                pass
            with pytest.raises(DeadlineMissed, match=r"cannot be sent within 0\.5 s"):
                async with sender.permit(Cost(1), deadline=0.5):
                    pass

        run_virtual(main())
