"""Answers in events, in virtual time: how they are admitted, retried, settled and left."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import random
from typing import TYPE_CHECKING, Any

import pytest

import ratedispatch as rd
from ratedispatch.dispatch.pump import _MOST_WAITING
from ratedispatch.providers.charge import CAUTIOUS
from ratedispatch.request import EMBEDDINGS
from ratedispatch.testing import run_virtual
from tests.dispatch.scripted import FAST, OK, Scripted, error
from tests.dispatch.streams import (
    USAGE,
    WHOLE,
    Streams,
    chat,
    chunk,
    read,
    texts,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


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
            with pytest.raises(rd.InvalidRequest, match="/v1/embeddings cannot be streamed"):
                dispatcher.stream(rd.Request({"model": "m", "input": "a"}, EMBEDDINGS))
            with pytest.raises(TypeError, match="Scripted cannot stream answers"):
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
            assert str(second).startswith("another task already reads this stream")

    run_virtual(main())
