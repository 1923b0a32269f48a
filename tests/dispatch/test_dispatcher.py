"""The life of a request, in virtual time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.errors import Stopped, TransportError
from ratedispatch.events import AttemptEnded, AttemptSent, QueuePaused
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.dispatch.world import chat, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


FAST = Limits(60_000, 6e7)
OK = Response(
    200, {}, {"choices": [{"text": "hi"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
)

LONG = Response(
    200, {}, {"choices": [{"text": "hi"}], "usage": {"prompt_tokens": 9, "completion_tokens": 200}}
)


class Scripted:
    """A transport that answers what a function says, after a second."""

    def __init__(self, answer: Callable[[Request, int], Response | Exception]) -> None:
        self.answer = answer
        self.sent: list[tuple[str | None, float]] = []
        self.in_flight = self.peak = 0

    async def send(self, request: Request, timeout: float) -> Response:
        self.sent.append((request.custom_id, asyncio.get_running_loop().time()))
        number = len(self.sent)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(1)
        finally:
            self.in_flight -= 1
        answer = self.answer(request, number)
        if isinstance(answer, Exception):
            raise answer
        return answer


def error(status: int, code: str = "", message: str = "m", **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, names, {"error": {"code": code, "message": message}})


def run_map(
    transport: Scripted, requests: Any, limits: Limits = FAST, **options: Any
) -> tuple[list[Any], Stopped | None]:
    """Map over *transport*; return outcomes and the stop, if any."""

    async def main() -> tuple[list[Any], Stopped | None]:
        outcomes = []
        dispatcher = Dispatcher(transport, limits, rng=random.Random(1), **options)
        async with dispatcher:
            try:
                async for outcome in dispatcher.map(requests):
                    outcomes.append(outcome)  # noqa: PERF401  (a Stopped may come in between)
            except Stopped as stop:
                return outcomes, stop
        return outcomes, None

    return run_virtual(main())


def test_submit_returns_the_answer_with_its_cost_usage_and_latency() -> None:
    """The outcome carries what was reserved and what the provider reports."""

    async def main() -> None:
        async with Dispatcher(Scripted(lambda *_: OK), FAST) as dispatcher:
            outcome = await dispatcher.submit(chat("a"))
            assert isinstance(outcome, Completed)
            assert outcome.body == OK.body
            assert outcome.usage is not None
            assert (outcome.usage.tokens, outcome.attempts, outcome.latency) == (11, 1, 1.0)
            assert outcome.cost.output_tokens == 16

    run_virtual(main())


def test_every_fault_ends_in_an_answer_or_a_reason_and_nothing_is_lost() -> None:
    """Faults of every kind at 4 %: each request has exactly one outcome."""
    settings = ProviderSettings(
        latency=0.2,
        faults=dict.fromkeys(
            ("500", "503", "reset", "hang", "truncate", "disconnect", "html", "html200", "429",
             "slow_down"), 0.04,
        ),
    )  # fmt: skip
    trace = play((chat(i) for i in range(500)), FAST, settings, timeout=5, seed=2)
    assert sorted([*trace.answered, *trace.failed]) == sorted(str(i) for i in range(500))
    assert len(trace.answered) == 500


def test_a_request_that_always_breaks_fails_with_its_reason() -> None:
    """After its attempts; the others go on meanwhile."""
    transport = Scripted(
        lambda request, _: TransportError("reset by peer") if request.custom_id == "bad" else OK
    )
    outcomes, _ = run_map(transport, [chat("bad"), chat("good")], retry=RetryPolicy(max_attempts=3))
    good, bad = outcomes
    assert isinstance(good, Completed)
    assert isinstance(bad, Failed)
    assert (bad.code, bad.message, bad.attempts) == ("connection_broken", "reset by peer", 3)
    assert isinstance(bad.error, TransportError)


def test_a_timeout_is_the_dispatchers_own() -> None:
    """A transport that never answers is cut off, and the permit is settled."""
    settings = ProviderSettings(faults={"hang": 1.0})
    trace = play([chat("a")], FAST, settings, timeout=7, retry=RetryPolicy(max_attempts=2))
    assert trace.failed == {"a": "timeout"}
    # two of 7 s each, and the backoff between them
    assert trace.seconds == pytest.approx(14.283591)
    assert trace.stats["in_flight"] == 0


def test_hung_requests_are_given_up_once_enough_answers_are_known() -> None:
    """Without a timeout of the user's own: three minutes rather than ten."""
    settings = ProviderSettings(latency=0.2, faults={"hang": 0.01})
    trace = play((chat(i) for i in range(1000)), FAST, settings)
    assert len(trace.answered) == 1000
    assert trace.seconds == pytest.approx(180.939294)


def test_a_throttling_refusal_pauses_the_line_once_and_uses_up_no_attempts() -> None:
    """A burst of refusals is one episode; every row is answered."""
    events: list[Any] = []

    def answer(request: Request, number: int) -> Response:
        return error(429, "rate_limit_exceeded", retry_after="3") if number <= 10 else OK

    outcomes, _ = run_map(
        Scripted(answer),
        [chat(i) for i in range(10)],
        retry=RetryPolicy(max_attempts=1),
        listeners=[events.append],
    )
    assert [type(outcome) for outcome in outcomes] == [Completed] * 10
    assert all(outcome.attempts == 2 for outcome in outcomes)
    pauses = [event for event in events if isinstance(event, QueuePaused)]
    assert len(pauses) == 1
    assert pauses[0].seconds == pytest.approx(3.0470275)  # three, and jitter
    again = [event.at for event in events if isinstance(event, AttemptSent) and event.attempt == 2]
    # four of the ramp's first 0.3 s, because it begins at a tenth of the speed
    assert min(again) == pytest.approx(4.2966018)


def test_a_retry_pays_again_and_goes_before_those_who_came_later() -> None:
    """The second attempt has the first one's place."""
    transport = Scripted(lambda request, n: error(500) if n == 1 else OK)
    requests = [chat(i) for i in range(8)]
    outcomes, _ = run_map(transport, requests, Limits(60, 6e6))
    order = [name for name, _ in transport.sent]
    assert order.index("0", 1) == 2
    assert len(outcomes) == 8
    assert [round(when) for _, when in transport.sent] == list(range(9))  # one a second, all paid


def test_a_request_too_large_for_the_limit_fails_without_being_sent() -> None:
    """With both numbers, and the line goes on."""
    transport = Scripted(lambda *_: OK)
    outcomes, _ = run_map(transport, [chat("large", words=2000), chat("small")], Limits(600, 1000))
    large = next(outcome for outcome in outcomes if isinstance(outcome, Failed))
    assert large.code == "cost_exceeds_limit"
    assert "1,000 tokens" in large.message
    assert "'large'" in large.message
    assert [name for name, _ in transport.sent] == ["small"]


def test_a_request_that_cannot_be_counted_fails_without_being_sent() -> None:
    """The message names the field."""
    bad = Request({"model": "gpt-4o", "messages": {5}}, custom_id="bad")
    outcomes, _ = run_map(Scripted(lambda *_: OK), [bad, chat("good")])
    codes = [outcome.code for outcome in outcomes if isinstance(outcome, Failed)]
    assert codes == ["invalid_request"]
    assert "messages" in next(o.message for o in outcomes if isinstance(o, Failed))


def test_a_transport_that_raises_something_else_fails_that_row_only() -> None:
    """One body that cannot be sent ends no job of a million rows."""
    transport = Scripted(
        lambda request, _: TypeError("not serializable") if request.custom_id == "bad" else OK
    )
    outcomes, stop = run_map(transport, [chat("bad"), chat("good")])
    assert stop is None
    assert sorted(getattr(outcome, "code", "ok") for outcome in outcomes) == ["cannot_send", "ok"]


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


def test_map_reads_no_further_ahead_than_its_window() -> None:
    """Reading, tasks and memory are bounded by what may be open, not by the file."""
    read = 0

    def source() -> Iterator[Request]:
        nonlocal read
        for number in range(3000):
            read += 1
            yield chat(number)

    async def main() -> None:
        transport = Scripted(lambda *_: OK)
        dispatcher = Dispatcher(transport, FAST, max_in_flight=20)
        stream = dispatcher.map(source())
        await anext(stream)
        await asyncio.sleep(60)  # a consumer that is slow
        assert read == 20 + 256 + 2  # one in hand, and one that waits for room
        assert len(asyncio.all_tasks()) == 2
        count = 1
        async for _ in stream:
            count += 1
        assert count == 3000
        assert transport.peak == 20

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


def test_map_takes_an_async_source_and_raises_what_it_raises() -> None:
    """After the outcomes of what it had yielded before."""

    async def source() -> AsyncIterator[Request]:
        for number in range(3):
            await asyncio.sleep(0.1)
            yield chat(number)
        raise LookupError("source broke")

    async def main() -> None:
        dispatcher = Dispatcher(Scripted(lambda *_: OK), FAST)
        outcomes = []

        async def consume() -> None:
            async for outcome in dispatcher.map(source()):
                outcomes.append(outcome)  # noqa: PERF401  (what came before the error counts)

        with pytest.raises(LookupError, match="source broke"):
            await consume()
        assert len(outcomes) == 3

    run_virtual(main())


@pytest.mark.parametrize("arguments", [{"max_in_flight": 0}, {"timeout": 0}, {"timeout": -1}])
def test_options_that_mean_nothing_are_refused(arguments: dict[str, Any]) -> None:
    """At the constructor."""
    with pytest.raises(ValueError, match="must be"):
        Dispatcher(Scripted(lambda *_: OK), FAST, **arguments)


def test_something_that_is_no_client_is_refused() -> None:
    """The blocking client in particular."""
    import openai

    with pytest.raises(TypeError, match=r"openai\.AsyncOpenAI"):
        Dispatcher(openai.OpenAI(api_key="sk-nothing"), FAST)


def test_answers_without_a_cap_are_reserved_for_as_they_turn_out() -> None:
    """The first guess is 16; once 32 answers of 200 are known, 200 is reserved."""
    requests = [
        Request.chat(model="gpt-4o", messages=[{"role": "user", "content": f"say {i}"}])
        for i in range(60)
    ]
    outcomes, _ = run_map(Scripted(lambda *_: LONG), requests, Limits(600, 6e6))
    reserved = [outcome.cost.output_tokens for outcome in outcomes]
    assert reserved[0] == 16
    assert reserved[-1] == 200


def test_what_others_answered_never_makes_a_request_impossible() -> None:
    """At a limit of 150 a minute, a learned reservation of 200 is cut to what fits."""
    requests = [
        Request.chat(model="gpt-4o", messages=[{"role": "user", "content": f"say {i}"}])
        for i in range(40)
    ]
    outcomes, _ = run_map(Scripted(lambda *_: LONG), requests, Limits(None, 150))
    assert all(isinstance(outcome, Completed) for outcome in outcomes)
    assert outcomes[-1].cost.tokens == 150


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


def test_a_retry_after_of_zero_again_and_again_is_not_followed() -> None:
    """A blockage of ten seconds fails nobody and is not hammered."""

    def answer(request: Request, number: int) -> Response:
        late = asyncio.get_running_loop().time() > 10
        return OK if late else error(429, "rate_limit_exceeded", retry_after="0")

    transport = Scripted(answer)
    outcomes, _ = run_map(transport, [chat(i) for i in range(5)])
    assert [type(outcome) for outcome in outcomes] == [Completed] * 5
    assert len(transport.sent) == 25


def test_less_than_one_request_a_minute_is_paced_too() -> None:
    """One every two minutes; none is too large for the limit."""
    transport = Scripted(lambda *_: OK)
    outcomes, _ = run_map(transport, [chat(i) for i in range(3)], Limits(0.5, 6e6))
    assert [type(outcome) for outcome in outcomes] == [Completed] * 3
    assert [round(when) for _, when in transport.sent] == [0, 120, 240]


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


def test_a_dispatcher_stays_in_its_event_loop() -> None:
    """Its connections belong to one; in another it says so, instead of hanging."""
    dispatcher = Dispatcher(Scripted(lambda *_: OK), Limits(6e6))

    async def submit() -> object:
        return await dispatcher.submit(chat(1))

    async def use_map() -> object:
        return [outcome async for outcome in dispatcher.map([chat(1)])]

    assert isinstance(asyncio.run(submit()), Completed)
    for other in (submit, use_map):
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(other())
