"""Streams that fail, stall or are left, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ratedispatch as rd
from ratedispatch.errors import AttemptTimeout
from ratedispatch.testing import run_virtual
from tests.dispatch.scripted import FAST, OK, error
from tests.dispatch.streams import (
    WHOLE,
    Streams,
    chat,
    chunk,
    read,
    texts,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Callable


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
