"""What ends a dispatcher, a map or one request before its answer, in virtual time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.errors import Stopped, TransportError
from ratedispatch.events import AttemptEnded, AttemptSent
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.dispatch.scripted import FAST, OK, Scripted, error, run_map
from tests.dispatch.world import chat, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ratedispatch.request import Request


def test_exhausted_quota_stops_the_job_and_what_is_in_flight_finishes() -> None:
    """The refused rows are not failed: they can be resumed."""

    def answer(request: Request, number: int) -> Response:
        return error(429, "insufficient_quota", "no credit") if number > 5 else OK

    transport = Scripted(answer)
    outcomes, stop = run_map(transport, (chat(i) for i in range(10_000)), Limits(600, 6e6))
    assert stop is not None
    assert (stop.code, str(stop), stop.started) == ("quota", "no credit", True)
    assert [type(outcome) for outcome in outcomes] == [Completed] * 5
    assert len(transport.sent) == 23  # an account that was good is asked once more


def test_a_wrong_key_stops_at_once_before_anything_was_answered() -> None:
    """401: one round trip's worth of requests, no retries."""
    transport = Scripted(lambda *_: error(401, "invalid_api_key", "bad key"))
    outcomes, stop = run_map(transport, (chat(i) for i in range(10_000)), Limits(600, 6e6))
    assert outcomes == []
    assert stop is not None
    assert (stop.code, stop.started) == ("authentication", False)
    assert len(transport.sent) == 17


def test_an_unknown_model_stops_a_job_in_which_nothing_was_answered() -> None:
    """404 for all: the first ones decide, the rest is not sent."""
    transport = Scripted(lambda *_: error(404, "model_not_found", "no such model"))
    outcomes, stop = run_map(transport, (chat(i) for i in range(10_000)), Limits(600, 6e6))
    assert outcomes == []
    assert stop is not None
    assert (stop.code, stop.started) == ("not_found", False)
    assert len(transport.sent) == 17


def test_one_unknown_model_among_good_ones_fails_alone() -> None:
    """Even as the very first row."""
    transport = Scripted(
        lambda request, _: error(404, "model_not_found") if request.model == "gpt-4o-bad" else OK
    )
    requests = [chat("bad", model="gpt-4o-bad"), *(chat(i) for i in range(20))]
    outcomes, stop = run_map(transport, requests, Limits(600, 6e6))
    assert stop is None
    assert len(outcomes) == 21
    assert [o.code for o in outcomes if isinstance(o, Failed)] == ["model_not_found"]


def test_a_server_that_was_never_reached_is_given_up_within_seconds() -> None:
    """A few probes, no storm."""
    transport = Scripted(lambda *_: TransportError("refused", reached=False))
    outcomes, stop = run_map(transport, (chat(i) for i in range(10_000)), Limits(600, 6e6))
    assert outcomes == []
    assert stop is not None
    assert (stop.code, stop.started) == ("unreachable", False)
    # a second's worth, and a probe after 0.5, 1 and 2 s
    assert len(transport.sent) == 20
    assert transport.sent[-1][1] == 6


def test_a_server_that_does_not_even_refuse_is_given_up_after_one_probe() -> None:
    """Each attempt takes the five seconds of a connect timeout."""

    class Silent(Scripted):
        async def send(self, request: Request, timeout: float) -> Response:
            await asyncio.sleep(4)
            return await super().send(request, timeout)

    transport = Silent(lambda *_: TransportError("timeout", reached=False))
    _, stop = run_map(transport, (chat(i) for i in range(10_000)), Limits(60, 6e6))
    assert stop is not None
    assert (stop.code, stop.started) == ("unreachable", False)
    assert transport.sent[-1][1] == 9.5
    assert len(transport.sent) == 7


def test_a_server_that_goes_away_for_two_minutes_costs_no_row() -> None:
    """The line holds and probes; no attempts are used up."""

    def answer(request: Request, number: int) -> Response | Exception:
        now = asyncio.get_running_loop().time()
        return TransportError("refused", reached=False) if 5 < now < 125 else OK

    transport = Scripted(answer)
    outcomes, stop = run_map(
        transport,
        (chat(i) for i in range(200)),
        Limits(600, 6e6),
        retry=RetryPolicy(max_attempts=1),
    )
    assert stop is None
    assert [type(outcome) for outcome in outcomes] == [Completed] * 200
    assert len(transport.sent) == 200 + 33


def test_a_server_that_stays_away_stops_the_job_resumably() -> None:
    """After a quarter of an hour."""

    def answer(request: Request, number: int) -> Response | Exception:
        late = asyncio.get_running_loop().time() > 5
        return TransportError("refused", reached=False) if late else OK

    transport = Scripted(answer)
    _, stop = run_map(transport, (chat(i) for i in range(200)), Limits(600, 6e6))
    assert stop is not None
    assert (stop.code, stop.started) == ("unreachable", True)
    assert len(transport.sent) == 131


def test_draining_finishes_what_is_in_flight_and_sends_nothing_more() -> None:
    """Rows asleep before a retry end at once, unanswered."""

    def script(dispatcher: Dispatcher, transport: ProviderTransport) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(3.0, dispatcher.stop, "drained", "enough")

    settings = ProviderSettings(latency=2, latency_sigma=0, faults={"500": 0.5})
    trace = play(
        (chat(i) for i in range(10_000)),
        Limits(600, 6e6),
        settings,
        script=script,
        retry=RetryPolicy(first_delay=50, max_delay=50),
    )
    assert trace.stop is not None
    assert trace.stop.code == "drained"
    assert trace.seconds == 5.0
    sent = [event for event in trace.events if isinstance(event, AttemptSent)]
    ended = [event for event in trace.events if isinstance(event, AttemptEnded)]
    assert len(sent) == len(ended)
    assert max(event.at for event in sent) == pytest.approx(3.0)


def test_submit_after_or_during_a_stop_raises_it() -> None:
    """Asleep before a retry, in the line, or only coming: nobody waits for ever."""

    async def main() -> None:
        transport = Scripted(lambda request, _: error(500) if request.custom_id == "r" else OK)
        dispatcher = Dispatcher(
            transport, Limits(60, 6e6), retry=RetryPolicy(first_delay=99, max_delay=99)
        )
        retried = asyncio.create_task(dispatcher.submit(chat("r")))
        answered = asyncio.create_task(dispatcher.submit(chat("a")))
        waiting = [asyncio.create_task(dispatcher.submit(chat(i))) for i in range(5)]
        await asyncio.sleep(1.5)
        dispatcher.stop("drained", "enough")
        results = await asyncio.gather(retried, answered, *waiting, return_exceptions=True)
        assert isinstance(results[0], Stopped)
        assert isinstance(results[1], Completed)
        assert [type(result) for result in results[2:]] == [Stopped] * 5
        with pytest.raises(Stopped, match="enough"):
            await dispatcher.submit(chat("late"))
        assert dispatcher.snapshot().in_flight == 0

    run_virtual(main())


def test_a_cancelled_submit_gives_its_permit_back() -> None:
    """In the line, in flight and asleep alike."""

    async def main() -> None:
        dispatcher = Dispatcher(Scripted(lambda *_: error(500)), Limits(60, 6e6))
        tasks = [asyncio.create_task(dispatcher.submit(chat(i))) for i in range(4)]
        await asyncio.sleep(1.2)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        snapshot = dispatcher.snapshot()
        assert snapshot.in_flight == 0

    run_virtual(main())


def test_a_cancellation_by_the_caller_stays_one_when_a_stop_comes_too() -> None:
    """A stop must not turn the caller's own cancellation into something else."""

    async def main() -> None:
        dispatcher = Dispatcher(
            Scripted(lambda *_: error(500)), FAST, retry=RetryPolicy(first_delay=99, max_delay=99)
        )
        task = asyncio.create_task(dispatcher.submit(chat("a")))
        await asyncio.sleep(2)
        dispatcher.stop("drained", "enough")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())


def test_leaving_map_early_cancels_what_is_in_flight() -> None:
    """No task is left behind."""

    async def main() -> None:
        transport = Scripted(lambda *_: OK)
        dispatcher = Dispatcher(transport, Limits(600, 6e6))
        stream = dispatcher.map(chat(i) for i in range(100))
        async for _ in stream:
            break
        await stream.aclose()
        assert transport.in_flight == 0
        assert len(asyncio.all_tasks()) == 1
        assert dispatcher.snapshot().in_flight == 0

    run_virtual(main())


def test_a_404_that_comes_after_a_stop_does_not_hang() -> None:
    """Nothing is left that could resolve the doubt."""

    async def main() -> None:
        dispatcher = Dispatcher(Scripted(lambda *_: error(404)), FAST)

        async def consume() -> None:
            async for _ in dispatcher.map(chat(i) for i in range(3)):
                pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(0.5)
        dispatcher.stop("drained", "enough")
        with pytest.raises(Stopped, match="enough"):
            await task

    run_virtual(main())


def test_a_404_to_a_submit_fails_that_request_only() -> None:
    """A service that is asked for a wrong model once goes on with the others."""

    async def main() -> None:
        transport = Scripted(lambda request, _: error(404) if request.custom_id == "bad" else OK)
        dispatcher = Dispatcher(transport, FAST)
        bad = await dispatcher.submit(chat("bad"))
        good = await dispatcher.submit(chat("good"))
        assert isinstance(bad, Failed)
        assert isinstance(good, Completed)

    run_virtual(main())


def test_a_stop_ends_a_map_whose_source_has_nothing_to_say() -> None:
    """An endless source that waits is not waited for."""

    async def source() -> AsyncIterator[Request]:
        yield chat("only")
        await asyncio.sleep(1e9)

    async def main() -> None:
        dispatcher = Dispatcher(Scripted(lambda *_: OK), FAST)
        outcomes = []

        async def consume() -> None:
            async for outcome in dispatcher.map(source()):
                outcomes.append(outcome)  # noqa: PERF401  (what came before the stop counts)

        asyncio.get_running_loop().call_later(5, dispatcher.stop, "drained", "enough")
        with pytest.raises(Stopped):
            await consume()
        assert asyncio.get_running_loop().time() == 5
        assert len(outcomes) == 1

    run_virtual(main())


def test_a_task_that_is_cancelled_before_its_first_step_gives_its_permit_back() -> None:
    """A whole burst is admitted in one turn of the loop; the consumer leaves in the same."""

    async def main() -> None:
        dispatcher = Dispatcher(Scripted(lambda *_: OK), FAST, max_in_flight=20)
        too_large = chat("large", words=200_000, cap=10**8)

        async for _ in dispatcher.map([too_large, *(chat(i) for i in range(40))]):
            break
        await asyncio.sleep(0)
        outcome = await asyncio.wait_for(dispatcher.submit(chat("next")), 60)
        assert isinstance(outcome, Completed)
        assert dispatcher.snapshot().in_flight == 0

    run_virtual(main())


def test_a_source_may_stop_the_dispatcher_while_it_is_read() -> None:
    """A row that cannot be written stops the job; what is in flight still has its outcomes."""

    async def main() -> tuple[int, str]:
        transport = ProviderTransport(ProviderSettings(latency=1), random.Random(1))
        answered = 0
        async with Dispatcher(transport, Limits(6000)) as dispatcher:

            def source() -> Iterator[Request]:
                yield from (chat(i) for i in range(5))
                dispatcher.stop("output", "the disk is full")
                yield chat(5)

            try:
                async for outcome in dispatcher.map(source()):
                    answered += isinstance(outcome, Completed)
            except Stopped as stop:
                return answered, stop.code
        raise AssertionError("it was not stopped")

    assert run_virtual(main()) == (5, "output")


class Doomed:
    """A transport that meets what it is told, one thing for each attempt, then answers."""

    base_url = None

    def __init__(self, *script: str) -> None:
        self._script = list(script)
        self.sent = 0

    async def send(self, request: Request, timeout: float) -> Response:
        self.sent += 1
        match self._script.pop(0) if self._script else "ok":
            case "down":
                raise TransportError("refused", reached=False)
            case "broken":
                raise TransportError("the server disconnected")
            case "hang":
                await asyncio.sleep(3_600)
        return Response(
            200,
            {},
            {"choices": [{"text": "hi"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        )


@pytest.mark.parametrize(
    ("script", "in_flight"),
    [
        (("down",), 1),
        (("down", "broken"), 1),
        (("down", "hang"), 1),
        (("down", "broken", "down"), 1),
        (("ok", "down", "down", "broken"), 1),
        (("down", "down", "down", "broken"), 3),
    ],
)
def test_a_probe_that_breaks_off_is_followed_by_another(
    script: tuple[str, ...], in_flight: int
) -> None:
    """As by a proxy that is up before its server: nobody waits for ever."""

    async def main() -> list[Completed | Failed]:
        transport = Doomed(*script)
        limits = Limits(requests_per_minute=60_000)
        async with Dispatcher(transport, limits, max_in_flight=in_flight, timeout=1) as dispatcher:
            return [outcome async for outcome in dispatcher.map(map(chat, range(5)))]

    outcomes = run_virtual(asyncio.wait_for(main(), 60))
    assert [type(outcome) for outcome in outcomes] == [Completed] * 5


def test_a_probe_that_is_cancelled_is_followed_by_another() -> None:
    """The caller of one request gave up; the others go on."""

    async def main() -> Completed | Failed:
        transport = Doomed("down", "hang")
        async with Dispatcher(transport, Limits(requests_per_minute=60_000)) as dispatcher:
            first = asyncio.create_task(dispatcher.submit(chat(1)))
            await asyncio.sleep(0.1)
            with pytest.raises(TimeoutError):  # while it is the probe
                await asyncio.wait_for(dispatcher.submit(chat(2)), 1)
            return await first

    assert isinstance(run_virtual(asyncio.wait_for(main(), 60)), Completed)


def test_a_clock_that_has_just_run_out_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that teaches patience may come in the very turn in which another times out."""
    monkeypatch.setattr("ratedispatch.dispatch.timeout._SHORTEST_SECONDS", ((10, 0.5), (5, 0.5)))

    class Late(Doomed):
        dispatcher: Any = None

        async def send(self, request: Request, timeout: float) -> Response:
            if request.custom_id == "11":
                await asyncio.sleep(3_600)
            if request.custom_id == "12":  # answers when the clock of 11 runs out
                clock = next(
                    call.clock
                    for call in self.dispatcher._runner._calls
                    if call.request.custom_id == "11"
                )
                assert clock is not None
                when = clock.when
                answered = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_at(when - 1e-9, answered.set_result, None)
                await answered
            await asyncio.sleep(0.001 if int(request.custom_id or 0) <= 10 else 0)
            return await super().send(request, timeout)

    async def source() -> AsyncIterator[Request]:
        for number in range(1, 11):
            yield chat(number)
        await asyncio.sleep(0.2)
        yield chat(11)
        await asyncio.sleep(0.3)
        yield chat(12)

    async def main() -> dict[str | None, type]:
        retry = RetryPolicy(max_attempts=1)
        transport = Late()
        async with Dispatcher(transport, Limits(6e6), max_in_flight=100, retry=retry) as dispatcher:
            transport.dispatcher = dispatcher
            return {
                outcome.request.custom_id: type(outcome)
                async for outcome in dispatcher.map(source())
            }

    found = run_virtual(main())
    assert (found["11"], found["12"]) == (Failed, Completed)
