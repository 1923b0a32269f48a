"""Every end of a permit is heard by everybody whom it concerns, whatever has raised."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped, TransportError
from ratedispatch.events import AttemptEnded, QueuePaused, RequestSkipped
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.request import Request

LIMITS = Limits(6e6)
MODELS = ("gpt-4o", "gpt-4.1")
ANSWER = {"choices": [{"message": {"content": "yes"}}]}


class Answering:
    """A transport that asks a function for each answer."""

    base_url = None

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        self._answer = answer
        self.sent: list[str] = []

    async def send(self, request: Request, timeout: float) -> Response:
        self.sent.append(request.custom_id or "")
        answer = self._answer(request)
        if isinstance(answer, BaseException):
            raise answer
        status, body, seconds = answer
        await asyncio.sleep(seconds)
        return Response(status, {}, body)


def ok(_: Request) -> Any:
    return 200, ANSWER, 0.1


def test_a_probe_that_a_permit_of_the_callers_own_takes_is_followed_by_another() -> None:
    """The server is up again; what was paced by hand has told nothing of it."""
    is_up = False

    def answer(request: Request) -> Any:
        return ok(request) if is_up else TransportError("refused", reached=False)

    async def main() -> object:
        nonlocal is_up
        async with Dispatcher(Answering(answer), LIMITS) as dispatcher:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(dispatcher.submit(chat(1)), 0.1)
            is_up = True
            await asyncio.sleep(1)
            async with dispatcher.permit(Cost(10, 10)):
                pass
            return await asyncio.wait_for(dispatcher.submit(chat(2)), 60)

    assert isinstance(run_virtual(main()), Completed)


def test_a_doubt_is_confirmed_when_the_last_permit_of_the_callers_own_ends() -> None:
    """Nothing else is in flight then that could still be answered."""

    def answer(_: Request) -> Any:
        return 404, {"error": {"code": "model_not_found", "message": "no such model"}}, 0.1

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with Dispatcher(Answering(answer), LIMITS) as dispatcher:

            async def own() -> None:
                async with dispatcher.permit(Cost(10, 10)):
                    await asyncio.sleep(1)

            task = asyncio.create_task(own())
            await asyncio.sleep(0)
            with pytest.raises(Stopped, match="no such model"):
                _ = [outcome async for outcome in dispatcher.map([chat(1), chat(2)])]
            await task
            return loop.time()

    assert run_virtual(main()) == pytest.approx(1)


class Away(LocalBudget):
    """A budget that cannot be reached once, when it is asked or when it is told."""

    def __init__(self, fails: str) -> None:
        super().__init__(LIMITS)
        self._fails = fails

    def reserve(self, *arguments: Any, **options: Any) -> Any:
        if self._fails == "reserve" and arguments[0].prompt_tokens > 1_000:
            raise ConnectionError("away")
        return super().reserve(*arguments, **options)

    def report(self, *arguments: Any, **options: Any) -> Any:
        found = super().report(*arguments, **options)
        if self._fails == "report":
            self._fails = ""
            raise ConnectionError("away")
        return found


@pytest.mark.parametrize("fails", ["reserve", "report"])
def test_a_budget_that_fails_costs_one_request_and_no_place(fails: str) -> None:
    """The permit is closed, and the others go on."""

    async def main() -> tuple[list[type], int]:
        transport = Answering(ok)
        async with Dispatcher(transport, LIMITS, budget=Away(fails), max_in_flight=1) as dispatcher:
            requests = [chat(number, 2_000 if number == 1 else 1) for number in range(4)]
            found = await asyncio.wait_for(
                asyncio.gather(*map(dispatcher.submit, requests), return_exceptions=True), 60
            )
            return [type(one) for one in found], dispatcher.snapshot().in_flight

    kinds, in_flight = run_virtual(main())
    failing = 1 if fails == "reserve" else 0
    assert kinds == [ConnectionError if n == failing else Completed for n in range(4)]
    assert in_flight == 0


def test_abandon_reaches_what_was_granted_in_the_turn_of_the_stop() -> None:
    """It is not sent any more, and nobody waits for its time-out."""
    transport = Answering(lambda request: (200, ANSWER, 1 if request.custom_id == "0" else 1e5))

    async def main() -> float:
        loop = asyncio.get_running_loop()

        def listen(event: object) -> None:
            if isinstance(event, AttemptEnded):
                dispatcher.stop("drained", "enough")
                loop.call_later(0, dispatcher.abandon)

        dispatcher = Dispatcher(transport, LIMITS, max_in_flight=1, listeners=[listen])
        with pytest.raises(Stopped):
            _ = [outcome async for outcome in dispatcher.map(map(chat, range(5)))]
        return loop.time()

    assert run_virtual(main()) == pytest.approx(1)


def test_a_route_that_retires_wakes_its_sleepers_and_tells_whom_it_skips() -> None:
    """A request that sleeps before another attempt does not hold up the end of the others."""
    limits = LimitGroups((LimitGroup("A", MODELS[:1], LIMITS), LimitGroup("B", MODELS[1:], LIMITS)))
    skipped: list[tuple[str | None, int]] = []

    def answer(request: Request) -> Any:
        if request.custom_id == "0":
            return 500, {"error": {"message": "later"}}, 0.01
        if request.model == MODELS[0]:
            return 401, {"error": {"code": "invalid_api_key", "message": "no"}}, 0.1
        return ok(request)

    def listen(event: object) -> None:
        if isinstance(event, RequestSkipped):
            skipped.append((event.request.custom_id, event.attempts))

    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        from ratedispatch.dispatch.retry import RetryPolicy

        patient = RetryPolicy(first_delay=500, max_delay=500)
        answered = 0
        async with Dispatcher(
            Answering(answer), limits, listeners=[listen], retry=patient
        ) as dispatcher:
            requests = [chat(n, model=MODELS[n % 2]) for n in range(6)]
            code = ""
            try:
                async for outcome in dispatcher.map(requests):
                    answered += isinstance(outcome, Completed)
            except Stopped as stop:
                code = stop.code
        assert code == "authentication"
        return answered, loop.time()

    answered, seconds = run_virtual(main())
    assert answered == 3
    assert seconds == pytest.approx(0.1)
    assert sorted(skipped) == [("0", 1), ("2", 1), ("4", 1)]


def test_what_a_permit_of_the_callers_own_reports_is_told_to_listeners() -> None:
    """A refusal met by hand pauses the queue, and everybody hears of it."""
    events: list[object] = []

    async def main() -> None:
        dispatcher = Dispatcher(Answering(ok), LIMITS, listeners=[events.append])
        async with dispatcher, dispatcher.permit(Cost(10, 10)) as permit:
            permit.report(Feedback(End.REFUSED, delay=30))

    run_virtual(main())
    assert [type(event) for event in events] == [QueuePaused]


def test_a_transport_that_cancels_itself_fails_its_request() -> None:
    """Nobody has cancelled it, so it is no reason to lose it."""

    def answer(request: Request) -> Any:
        return asyncio.CancelledError() if request.custom_id == "1" else ok(request)

    async def main() -> dict[str | None, type]:
        async with Dispatcher(Answering(answer), LIMITS) as dispatcher:
            outcomes = [outcome async for outcome in dispatcher.map(map(chat, range(4)))]
        return {outcome.request.custom_id: type(outcome) for outcome in outcomes}

    assert run_virtual(main()) == {"0": Completed, "1": Failed, "2": Completed, "3": Completed}
