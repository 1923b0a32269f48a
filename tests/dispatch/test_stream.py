"""Answers in events, in virtual time: how they are admitted, retried, settled and left."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ratedispatch as rd
from ratedispatch.dispatch.pump import _MOST_WAITING
from ratedispatch.errors import AttemptTimeout
from ratedispatch.providers.charge import CAUTIOUS
from ratedispatch.request import EMBEDDINGS
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual
from tests.dispatch.scripted import FAST, OK, Scripted, error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HI = [{"role": "user", "content": "Who is Joseph Conrad?"}]
USAGE = {"include_usage": True}


def chat(name: str = "a", cap: int = 40, **more: Any) -> rd.Request:
    return rd.Request.chat(model="gpt-4o", messages=HI, max_tokens=cap, custom_id=name, **more)


def texts(events: Iterable[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for event in events for choice in event["choices"]
    )


def world(faults: dict[str, float] | None = None, **settings: Any) -> ProviderTransport:
    settings = {"latency": 1.0, "token_time": 0.1, **settings}
    return ProviderTransport(ProviderSettings(faults=faults or {}, **settings), random.Random(1))


def test_events_come_as_they_are_made_and_their_usage_settles_the_permit() -> None:
    refunded = dataclasses.replace(CAUTIOUS, refunds=True)

    async def main() -> None:
        async with rd.Dispatcher(world(), FAST, policy=refunded) as dispatcher:
            loop, times, events, flying = asyncio.get_running_loop(), [], [], []
            stream = dispatcher.stream(chat(stream_options=USAGE))
            async for event in stream:
                times.append(loop.time())
                events.append(event)
                flying.append(dispatcher.snapshot().in_flight)
            assert set(flying[:10]) == {1}
            assert texts(events) == "answer to a"
            assert len(set(times)) > 10
            outcome = stream.outcome
            assert isinstance(outcome, rd.Completed)
            assert stream.usage == outcome.usage
            assert outcome.usage is not None
            assert outcome.usage.output_tokens > 10
            assert outcome.text == texts(events)
            assert outcome.latency == pytest.approx(times[-1])
            state = dispatcher.snapshot()
            assert (state.in_flight, state.waiting) == (0, 0)
            tokens = next(level for level in state.levels if level.dimension == "tokens")
            assert tokens.spent - tokens.returned == pytest.approx(outcome.usage.tokens)

    run_virtual(main())


def test_without_usage_what_was_reserved_stays_spent() -> None:
    """And none is asked for behind the caller's back."""

    async def main() -> None:
        transport = world()
        async with rd.Dispatcher(transport, FAST) as dispatcher:
            stream = dispatcher.stream(chat())
            events = [event async for event in stream]
            assert all(event.get("usage") is None for event in events)
            assert isinstance(stream.outcome, rd.Completed)
            assert stream.usage is None
            tokens = next(
                level for level in dispatcher.snapshot().levels if level.dimension == "tokens"
            )
            assert tokens.spent == stream.outcome.cost.tokens

    run_virtual(main())


def test_a_response_tells_its_usage_with_its_last_event() -> None:
    async def main() -> None:
        async with rd.Dispatcher(world(), FAST) as dispatcher:
            request = rd.Request.responses(model="gpt-4o", input="Hello", max_output_tokens=40)
            stream = dispatcher.stream(request)
            kinds = [event["type"] async for event in stream]
            assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
            assert stream.usage is not None
            assert isinstance(stream.outcome, rd.Completed)
            assert stream.outcome.body["status"] == "completed"
            assert stream.outcome.text

    run_virtual(main())


class Streamed:
    """An answer in parts, as a test says."""

    def __init__(
        self, events: Iterable[Any], gap: float, headers: dict[str, str] | None = None
    ) -> None:
        self.status, self.headers = 200, {"x-request-id": "r", **(headers or {})}
        self.events, self.gap = iter(events), gap
        self.is_closed = False

    def __aiter__(self) -> Streamed:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(self.gap)
        event = next(self.events, None)
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, Exception):
            raise event
        return event

    async def aclose(self) -> None:
        self.is_closed = True


class Streams(Scripted):
    """A transport whose n-th answer is what a function says: events, or a response."""

    def __init__(self, answer: Callable[[int], Any], gap: float = 1.0) -> None:
        super().__init__(lambda *_: OK)
        self.answers, self.gap = answer, gap
        self.opened: list[Streamed] = []
        self.headers: dict[str, str] = {}

    async def stream(self, request: rd.Request, timeout: float) -> Any:
        self.sent.append((request.custom_id, asyncio.get_running_loop().time()))
        answer = self.answers(len(self.sent))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, rd.Response):
            return answer
        self.opened.append(Streamed(answer, self.gap, self.headers))
        return self.opened[-1]


def chunk(text: str = "x", finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


WHOLE = [chunk("one "), chunk("two"), chunk("", "stop")]


async def read(dispatcher: rd.Dispatcher, request: rd.Request | None = None) -> list[Any]:
    return [event async for event in dispatcher.stream(request or chat())]


@pytest.mark.parametrize(
    "first",
    [
        error(429, "rate_limit_exceeded", retry_after="3"),
        error(500),
        rd.TransportError("reset"),
        [rd.TransportError("reset")],  # before the first event
        [{"error": {"code": "rate_limit_exceeded", "message": "slow down"}}],
        [],  # ended before it began
    ],
    ids=["429", "500", "reset", "reset later", "error event", "empty"],
)
def test_what_fails_before_the_first_event_is_tried_again(first: Any) -> None:
    async def main() -> None:
        transport = Streams(lambda number: first if number == 1 else WHOLE)
        async with rd.Dispatcher(transport, FAST) as dispatcher:
            stream = dispatcher.stream(chat())
            assert texts([event async for event in stream]) == "one two"
            assert stream.outcome is not None
            assert stream.outcome.attempts == 2
            assert dispatcher.snapshot().in_flight == 0
        assert all(opened.is_closed for opened in transport.opened)

    run_virtual(main())


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (rd.TransportError("reset by peer"), "connection_broken"),
        ({"error": {"code": "server_error", "message": "it broke"}}, "server_error"),
        ({"type": "error", "code": "server_error", "message": "it broke"}, "server_error"),
        (None, "connection_broken"),  # no end was told
    ],
)
def test_what_fails_after_the_first_event_is_not_tried_again(last: Any, code: str) -> None:
    """The caller has a part of the answer, and another one would be paid for again."""

    async def main() -> None:
        transport = Streams(lambda _: [chunk("one"), *([] if last is None else [last])])
        async with rd.Dispatcher(transport, FAST) as dispatcher:
            stream, events = dispatcher.stream(chat()), []

            async def drain() -> None:
                async for event in stream:
                    events.append(event)  # noqa: PERF401  (an error follows)

            with pytest.raises(rd.RequestFailed, match="failed after 1 events") as caught:
                await drain()
            assert caught.value.code == code
            assert texts(events) == "one"
            assert isinstance(stream.outcome, rd.Failed)
            assert len(transport.sent) == 1
            assert dispatcher.snapshot().in_flight == 0
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

    run_virtual(main())


def test_a_request_that_cannot_be_answered_raises_its_reason() -> None:
    async def main() -> None:
        transport = Streams(lambda _: error(400, "invalid_value", "no such voice"))
        async with rd.Dispatcher(transport, FAST) as dispatcher:
            with pytest.raises(rd.RequestFailed, match="no such voice") as caught:
                await read(dispatcher)
            assert caught.value.code == "invalid_value"
            bad = rd.Request({"model": "gpt-4o", "messages": {5}})
            with pytest.raises(rd.RequestFailed, match="messages"):
                await read(dispatcher, bad)

    run_virtual(main())


def test_an_answer_in_one_piece_is_told_and_not_lost() -> None:
    async def main() -> None:
        async with rd.Dispatcher(Streams(lambda _: OK), FAST) as dispatcher:
            with pytest.raises(rd.RequestFailed, match="in one piece") as caught:
                await read(dispatcher)
            assert isinstance(caught.value.outcome, rd.Completed)
            assert caught.value.outcome.body == OK.body

    run_virtual(main())


def test_leaving_the_loop_closes_the_connection_and_the_permit() -> None:
    async def main() -> None:
        transport = Streams(lambda _: [chunk() for _ in range(1_000)])
        async with rd.Dispatcher(transport, FAST) as dispatcher:
            async for _ in dispatcher.stream(chat()):
                break
            await asyncio.sleep(0.01)
            assert dispatcher.snapshot().in_flight == 0
            assert transport.opened[0].is_closed

            async with dispatcher.stream(chat()) as stream:
                async for _ in stream:
                    break
                assert dispatcher.snapshot().in_flight == 1
            assert dispatcher.snapshot().in_flight == 0

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3.5):
                    await read(dispatcher)
            assert dispatcher.snapshot().in_flight == 0

            lost = dispatcher.stream(chat())
            await anext(lost)
            del lost
            gc.collect()
            await asyncio.sleep(0.01)
            assert dispatcher.snapshot().in_flight == 0
            assert all(opened.is_closed for opened in transport.opened)

    run_virtual(main())


def test_a_stream_that_is_closed_while_another_task_reads_it_just_ends() -> None:
    async def main() -> list[Any]:
        async with rd.Dispatcher(Streams(lambda _: WHOLE, 10.0), FAST) as dispatcher:
            stream = dispatcher.stream(chat())

            async def drain() -> list[Any]:
                return [event async for event in stream]

            task = asyncio.create_task(drain())
            await asyncio.sleep(15)
            await stream.aclose()
            return await task

    assert len(run_virtual(main())) == 1


def test_a_slow_reader_slows_the_connection_and_runs_out_of_no_time() -> None:
    """A few events are read ahead; the time in which nothing is taken counts for nobody."""

    async def main() -> None:
        made = 0

        def events() -> Iterable[Any]:
            nonlocal made
            for _ in range(300):
                made += 1
                yield chunk()
            yield chunk("", "stop")

        transport = Streams(lambda _: events())
        async with rd.Dispatcher(transport, FAST, timeout=30) as dispatcher:
            stream = dispatcher.stream(chat())
            await anext(stream)
            await asyncio.sleep(3_000)
            assert made == 1 + _MOST_WAITING
            assert len([event async for event in stream]) == 300

    run_virtual(main())


@pytest.mark.parametrize(("gap", "is_late"), [(29.0, False), (31.0, True)])
def test_the_timeout_bounds_the_wait_for_each_event(gap: float, is_late: bool) -> None:
    """Not the whole answer, which may take as long as it likes."""

    async def main() -> None:
        transport = Streams(lambda _: [*[chunk() for _ in range(20)], chunk("", "stop")], gap)
        retry = rd.RetryPolicy(max_attempts=2)
        async with rd.Dispatcher(transport, FAST, retry=retry) as dispatcher:
            reading = read(dispatcher, chat(timeout=30))
            if not is_late:
                assert len(await reading) == 21
                return
            with pytest.raises(rd.RequestFailed) as caught:
                await reading
            assert caught.value.code == "timeout"
            assert isinstance(caught.value.__cause__, AttemptTimeout)

    run_virtual(main())


def test_a_stall_in_the_middle_runs_out_of_time() -> None:
    async def main() -> None:
        async with rd.Dispatcher(world({"stream_stall": 1.0}), FAST) as dispatcher:
            with pytest.raises(rd.RequestFailed, match=r"after \d+ events: no event within 20 s"):
                await read(dispatcher, chat(timeout=20))
            assert dispatcher.snapshot().in_flight == 0

    run_virtual(main())


@pytest.mark.parametrize("fault", ["stream_cut", "stream_error"])
def test_faults_in_the_middle_are_told(fault: str) -> None:
    async def main() -> None:
        async with rd.Dispatcher(world({fault: 1.0}), FAST) as dispatcher:
            with pytest.raises(rd.RequestFailed, match=r"after \d+ events"):
                await read(dispatcher)
            assert dispatcher.snapshot().in_flight == 0

    run_virtual(main())


def test_a_stop_lets_streams_end_and_abandoning_gives_them_up() -> None:
    async def main(abandons: bool) -> int:
        dispatcher = rd.Dispatcher(Streams(lambda _: WHOLE, 5.0), FAST)
        task = asyncio.create_task(read(dispatcher))
        waiting = dispatcher.stream(chat())
        await asyncio.sleep(7)
        dispatcher.stop("drained", "it is enough")
        with pytest.raises(rd.Stopped):
            await anext(waiting)
        if abandons:
            dispatcher.abandon()
            with pytest.raises(rd.Stopped):
                await task
            return 0
        return len(await task)

    assert run_virtual(main(False)) == 3
    assert run_virtual(main(True)) == 0


def test_listeners_are_told_of_a_stream_as_of_any_request() -> None:
    events: list[Any] = []

    async def main() -> None:
        answers = Streams(lambda number: error(500) if number == 1 else WHOLE)
        async with rd.Dispatcher(answers, FAST, listeners=[events.append]) as dispatcher:
            await read(dispatcher)

    run_virtual(main())
    kinds = [type(event) for event in events]
    attempt = [rd.AttemptSent, rd.AttemptEnded]
    assert kinds == [*attempt, *attempt, rd.RequestEnded]


def test_many_streams_at_a_limit_are_paced_and_none_is_refused() -> None:
    async def main() -> None:
        transport = world(requests_per_minute=600, tokens_per_minute=1e6, token_time=0.01)
        limits = rd.Limits(600, 1e6)
        async with rd.Dispatcher(transport, limits, rng=random.Random(1)) as dispatcher:
            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(read(dispatcher, chat(str(number))))
            stats = transport.referee.report()
            assert (stats["answered"], stats["refused"]) == (50, {})
            assert dispatcher.snapshot().in_flight == 0

    run_virtual(main())


def test_what_has_no_events_is_said_at_once() -> None:
    async def main() -> None:
        async with rd.Dispatcher(Scripted(lambda *_: OK), FAST) as dispatcher:
            with pytest.raises(
                rd.InvalidRequest, match="an answer of /v1/embeddings has no events"
            ):
                dispatcher.stream(rd.Request({"model": "m", "input": "a"}, EMBEDDINGS))
            with pytest.raises(TypeError, match="Scripted gives answers only whole"):
                dispatcher.stream(chat())
            with pytest.raises(TypeError, match="expected a Request"):
                dispatcher.stream({"model": "m"})  # type: ignore[arg-type]

    run_virtual(main())


def test_what_the_head_says_of_the_buckets_holds_while_the_answer_is_made() -> None:
    """At its end it would be out of date."""
    events: list[Any] = []

    async def main() -> None:
        transport = Streams(lambda _: WHOLE, 100.0)
        transport.headers = {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1s",
        }
        limits = rd.Limits("auto", "auto")
        async with rd.Dispatcher(transport, limits, listeners=[events.append]) as dispatcher:
            await read(dispatcher)

    run_virtual(main())
    (changed,) = [event for event in events if isinstance(event, rd.LimitChanged)]
    assert (changed.rate.limit, changed.at) == (60.0, 0.0)
    assert max(event.at for event in events) == 400.0


def test_a_stream_ends_an_outage_with_its_first_event() -> None:
    """It may take minutes to its last one, and others wait."""

    async def main() -> None:
        class Mixed(Streams):
            async def send(self, request: rd.Request, timeout: float) -> rd.Response:
                await super().send(request, timeout)
                now = asyncio.get_running_loop().time()
                return error(500) if now < 30 else OK

        transport = Mixed(lambda _: WHOLE, 200.0)
        async with rd.Dispatcher(transport, FAST, rng=random.Random(1)) as dispatcher:
            requests = [chat(str(number)) for number in range(40)]

            async def work() -> list[Any]:
                return [outcome async for outcome in dispatcher.map(requests)]

            task = asyncio.create_task(work())
            assert len(await read(dispatcher)) == 3
            outcomes = await task
        assert all(isinstance(outcome, rd.Completed) for outcome in outcomes)

    run_virtual(main())


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["whole", "500", "429", "broken", "cut", "late"]),
        st.sampled_from(["read", "leave", "close", "cancel", "lose", "never"]),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=8,
)


@given(ACTS)
@settings(max_examples=40, deadline=None)
@pytest.mark.slow
def test_however_streams_end_nothing_stays_open(acts: list[tuple[str, str, int]]) -> None:
    """Neither a permit nor a connection, whatever the server and the reader do."""
    answers: dict[str, Callable[[], Any]] = {
        "whole": lambda: WHOLE,
        "500": lambda: error(500),
        "429": lambda: error(429, "rate_limit_exceeded", retry_after="1"),
        "broken": lambda: rd.TransportError("reset"),
        "cut": lambda: [chunk("one"), rd.TransportError("reset")],
        "late": lambda: [chunk("one"), *[chunk() for _ in range(200)], chunk("", "stop")],
    }

    class Planned(Streams):
        async def stream(self, request: rd.Request, timeout: float) -> Any:
            self.answers = lambda _: answers[request.custom_id or ""]()
            return await super().stream(request, timeout)

    async def use(dispatcher: rd.Dispatcher, answer: str, how: str, count: int) -> None:
        stream = dispatcher.stream(chat(answer))
        if how == "never":
            return
        if how == "cancel":
            async with asyncio.timeout(count + 0.5):
                await read(dispatcher, chat(answer))
            return
        try:
            for _ in range(1_000 if how == "read" else count):
                await anext(stream)
        except StopAsyncIteration:
            return
        if how == "close":
            await stream.aclose()

    async def main() -> None:
        transport = Planned(lambda _: WHOLE)
        retry = rd.RetryPolicy(max_attempts=2, max_refusals=2)
        async with rd.Dispatcher(transport, FAST, retry=retry, rng=random.Random(1)) as dispatcher:
            await asyncio.gather(*[use(dispatcher, *act) for act in acts], return_exceptions=True)
            gc.collect()
            await asyncio.sleep(0.01)
            state = dispatcher.snapshot()
            assert (state.in_flight, state.waiting) == (0, 0)
        assert all(opened.is_closed for opened in transport.opened)

    run_virtual(main())


def test_a_second_reader_at_once_is_told_and_the_first_one_reads_on() -> None:
    """Two that wait for the same event would lose one of them for ever."""

    async def main() -> None:
        async with rd.Dispatcher(world(), FAST) as dispatcher:
            stream = dispatcher.stream(chat())

            async def read() -> str:
                return texts([event async for event in stream])

            first, second = await asyncio.gather(read(), read(), return_exceptions=True)
            assert first == "answer to a"
            assert isinstance(second, RuntimeError)
            assert str(second).startswith("another task reads this stream already")

    run_virtual(main())


def test_a_refusal_that_came_in_events_is_one_in_the_outcome() -> None:
    said = [{"refusal": "I "}, {"refusal": "will not."}, {}]
    chunks = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in said
    ]

    async def main() -> None:
        async with rd.Dispatcher(Streams(lambda _: chunks), FAST) as dispatcher:
            stream = dispatcher.stream(chat())
            assert len([event async for event in stream]) == 3
            assert isinstance(stream.outcome, rd.Completed)
            with pytest.raises(rd.UnusableAnswer, match="the model refused: I will not") as caught:
                stream.outcome.parsed(dict)
            assert caught.value.reason == "refused"

    run_virtual(main())
