"""Several routes: budgets that they share, and one that retires."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.events import AttemptSent, LimitChanged, QueuePaused
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Response
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.events import Event
    from ratedispatch.request import Request

OK = Response(
    200, {}, {"choices": [{"text": "hi"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
)
LIMITS = Limits(60, burst_seconds=1)
A, B = "gpt-4o", "gpt-4.1"
GROUPS = LimitGroups((LimitGroup("a", (A,), Limits(600)), LimitGroup("b", (B,), Limits(600))))


class Scripted:
    """A transport that answers what a function says, after a second."""

    base_url = None

    def __init__(self, answer: Callable[[Request], Response] = lambda _: OK) -> None:
        self.answer = answer
        self.sent: list[tuple[str | None, float]] = []

    async def send(self, request: Request, timeout: float) -> Response:
        self.sent.append((request.custom_id, asyncio.get_running_loop().time()))
        await asyncio.sleep(1)
        return self.answer(request)


def refusal_of(model: str) -> Callable[[Request], Response]:
    """Return what answers all models but *model*, whose key is wrong."""
    error = Response(401, {}, {"error": {"message": f"no access to {model}"}})
    return lambda request: error if request.model == model else OK


class TestSharedBudget:
    """Several queues over one budget count what they share once."""

    def test_groups_that_share_a_budget_count_it_once(self) -> None:
        """One level, and two in flight in all while each group has one."""

        async def main() -> None:
            budget = LocalBudget(Limits(60_000))
            sender = Dispatcher(Scripted(), GROUPS, budget=budget, rng=random.Random(1))
            tasks = [asyncio.create_task(sender.submit(chat(m, model=m))) for m in (A, B)]
            await asyncio.sleep(0.5)
            state = sender.snapshot()
            assert state.in_flight == 2
            assert [(level.dimension, level.spent) for level in state.levels] == [("requests", 2)]
            await asyncio.gather(*tasks)
            assert sender.snapshot().in_flight == 0

        run_virtual(main())

    def test_groups_with_budgets_of_their_own_are_counted_apart(self) -> None:
        """Two levels, with the names of their groups."""

        async def main() -> None:
            sender = Dispatcher(Scripted(), GROUPS, rng=random.Random(1))
            await asyncio.gather(*(sender.submit(chat(m, model=m)) for m in (A, B)))
            levels = sender.snapshot().levels
            assert [(level.group, level.spent) for level in levels] == [("a", 1), ("b", 1)]

        run_virtual(main())

    def test_two_dispatchers_of_one_budget_stay_within_the_limit_together(self) -> None:
        """One request a second, whoever sends it."""

        async def main() -> list[float]:
            budget, transport = LocalBudget(LIMITS), Scripted()
            senders = [Dispatcher(transport, LIMITS, budget=budget) for _ in range(2)]
            await asyncio.gather(
                *(senders[number % 2].submit(chat(number)) for number in range(10))
            )
            for sender in senders:
                assert sender.snapshot().levels[0].spent == 10
            return [when for _, when in transport.sent]

        assert run_virtual(main()) == pytest.approx(list(range(10)))

    def test_what_one_dispatcher_is_told_holds_for_the_other(self) -> None:
        """An answer to the first says that nothing is left: the second waits for the refill."""
        headers = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}

        async def main() -> list[float]:
            limits = Limits(60, burst_seconds=10)
            budget = LocalBudget(limits)
            empty, plain = Scripted(lambda _: Response(200, headers, OK.body)), Scripted()
            first, second = (
                Dispatcher(transport, limits, budget=budget) for transport in (empty, plain)
            )
            await first.submit(chat(1))
            await asyncio.gather(*(second.submit(chat(number)) for number in range(3)))
            return [when for _, when in plain.sent]

        assert run_virtual(main()) == pytest.approx([1, 2, 3])

    def test_closing_one_dispatcher_leaves_the_others_budget_alone(self) -> None:
        """It is not its own."""

        async def main() -> None:
            budget = LocalBudget(LIMITS)
            async with Dispatcher(Scripted(), LIMITS, budget=budget) as first:
                await first.submit(chat(1))
            async with Dispatcher(Scripted(), LIMITS, budget=budget) as second:
                assert isinstance(await second.submit(chat(2)), Completed)

        run_virtual(main())


class TestRetired:
    """A wrong key of one group is no reason to stop the others."""

    def test_map_answers_the_others_and_raises_the_reason_at_the_end(self) -> None:
        """Requests of the group that was refused are skipped, to be resumed."""

        async def main() -> tuple[list[str | None], Stopped]:
            outcomes: list[Any] = []
            transport = Scripted(refusal_of(B))
            async with Dispatcher(transport, GROUPS, max_in_flight=10) as sender:
                requests = (chat(i, model=(A, B)[i % 2]) for i in range(200))

                async def consume() -> None:
                    async for outcome in sender.map(requests):
                        outcomes.append(outcome)  # noqa: PERF401  (a stop may come in between)

                with pytest.raises(Stopped) as caught:
                    await consume()
                state = sender.snapshot()
                assert (state.in_flight, state.waiting) == (0, 0)
            assert all(isinstance(outcome, Completed) for outcome in outcomes)
            sent_to_b = [name for name, _ in transport.sent if int(name or 0) % 2]
            # half of the ten places, and before the first refusal the first place that came free,
            # unless it went to A: of two tasks of one instant asyncio of 3.14 runs another first
            assert len(sent_to_b) == (6 if sys.version_info < (3, 14) else 5)
            return [outcome.request.custom_id for outcome in outcomes], caught.value

        answered, stop = run_virtual(main())
        assert sorted(map(int, (name or "" for name in answered))) == list(range(0, 200, 2))
        assert (stop.code, str(stop)) == ("authentication", f"no access to {B}")

    def test_submit_goes_on_for_the_others_only(self) -> None:
        """Also for what is in the queue at that moment, and for permits."""

        async def main() -> None:
            sender = Dispatcher(Scripted(refusal_of(B)), GROUPS, max_in_flight=2)
            tasks = [asyncio.create_task(sender.submit(chat(i, model=B))) for i in range(4)]
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [getattr(result, "code", None) for result in results] == ["authentication"] * 4
            assert [type(result) for result in results] == [Stopped] * 4
            with pytest.raises(Stopped, match="no access"):
                await sender.submit(chat("late", model=B))
            with pytest.raises(Stopped, match="no access"):
                async with sender.permit(Cost(1), model=B):
                    raise AssertionError("it may not go")
            assert isinstance(await sender.submit(chat("a", model=A)), Completed)
            assert sender.snapshot().in_flight == 0

        run_virtual(main())

    def test_everything_stops_when_all_groups_are_retired(self) -> None:
        """The last reason is that of the stop; nobody waits for a group that cannot be."""

        async def main() -> None:
            error = Response(401, {}, {"error": {"message": "no access"}})
            sender = Dispatcher(Scripted(lambda _: error), GROUPS)
            for model in (A, B):
                with pytest.raises(Stopped, match="no access") as caught:
                    await sender.submit(chat(model, model=model))
                assert caught.value.code == "authentication"
            with pytest.raises(Stopped, match="no access"):
                sender.permit(Cost(1), model="of no group")

        run_virtual(main())

    def test_a_wrong_key_for_all_ends_a_map_at_once(self) -> None:
        """A source without end is read no further; one of a that took a place of b is awaited."""

        async def main() -> tuple[float, str]:
            error = Response(401, {}, {"error": {"message": "no access"}})

            def source() -> Any:
                number = 0
                while True:
                    number += 1
                    yield chat(number, model=(A, B)[number % 2])

            async with Dispatcher(Scripted(lambda _: error), GROUPS, max_in_flight=10) as sender:
                with pytest.raises(Stopped) as caught:
                    await anext(sender.map(source()))
            return asyncio.get_running_loop().time(), caught.value.code

        assert run_virtual(asyncio.wait_for(main(), 60)) == (2, "authentication")

    def test_the_day_of_one_group_is_no_others(self) -> None:
        """Three of b may go today; a goes on, and map says why at the end."""
        groups = LimitGroups(
            (
                LimitGroup("a", (A,), Limits(600)),
                LimitGroup("b", (B,), Limits(600, requests_per_day=3)),
            )
        )

        async def main() -> tuple[list[int], str]:
            names = []
            async with Dispatcher(Scripted(), groups) as sender:
                outcomes = sender.map(chat(i, model=(A, B)[i % 2]) for i in range(20))
                for _ in range(13):
                    names.append(int((await anext(outcomes)).request.custom_id or ""))  # noqa: PERF401
                with pytest.raises(Stopped) as caught:
                    await anext(outcomes)
            return sorted(names), caught.value.code

        assert run_virtual(main()) == ([0, 1, 2, 3, 4, 5, *range(6, 20, 2)], "day_limit")


@pytest.mark.parametrize("code", ["queue_full", "slow_down", "day_limit"])
def test_a_code_of_the_providers_own_steers_nothing(code: str) -> None:
    """A refusal for the rate is one whatever it is called: the same pause, limits and number."""

    def play(code: str) -> tuple[list[Any], list[float], Any]:
        heard: list[Event] = []
        refused = Response(
            429, {"retry-after": "2"}, {"error": {"code": code, "message": "too many"}}
        )
        answers = iter([refused, *[OK] * 20])

        async def main() -> tuple[list[Any], list[float], Any]:
            transport = Scripted(lambda _: next(answers))
            sender = Dispatcher(
                transport,
                Limits(600),
                listeners=[heard.append],
                rng=random.Random(1),
                max_in_flight=5,
                cpu_clock=float,
            )
            async with sender:
                outcomes = [outcome async for outcome in sender.map(map(chat, range(10)))]
                assert [type(outcome) for outcome in outcomes] == [Completed] * 10
                return transport.sent, pauses(heard), sender.snapshot()

        return run_virtual(main())

    assert play(code) == play("rate_limit_exceeded")
    assert play(code)[2].max_in_flight == 5


def pauses(heard: list[Event]) -> list[float]:
    """The seconds of the pauses; nothing else may have changed."""
    assert not [event for event in heard if isinstance(event, LimitChanged)]
    assert len([event for event in heard if isinstance(event, AttemptSent)]) == 11
    return [event.seconds for event in heard if isinstance(event, QueuePaused)]
