"""The life of a request, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.errors import TransportError
from ratedispatch.events import AttemptSent, QueuePaused
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.request import Cost, Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from tests.dispatch.scripted import FAST, LONG, OK, Scripted, error, run_map
from tests.dispatch.world import chat, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


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

    blocking: Any = openai.OpenAI(api_key="sk-nothing")
    with pytest.raises(TypeError, match=r"got OpenAI, which blocks; .* SyncDispatcher.*\.wrap"):
        Dispatcher(blocking, FAST)
    nothing: Any = 5
    with pytest.raises(TypeError, match=r"expected an openai\.AsyncOpenAI .*, got int$"):
        Dispatcher(nothing, FAST)


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


def test_a_dispatcher_stays_in_its_event_loop() -> None:
    """Its connections belong to one; in another it says so, instead of hanging."""
    dispatcher = Dispatcher(Scripted(lambda *_: OK), Limits(6e6))

    async def submit() -> object:
        return await dispatcher.submit(chat(1))

    async def use_map() -> object:
        return [outcome async for outcome in dispatcher.map([chat(1)])]

    assert isinstance(asyncio.run(submit()), Completed)

    async def use_permit() -> None:
        async with dispatcher.permit(Cost(1)):
            pass

    for other in (submit, use_map, use_permit):
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(other())
