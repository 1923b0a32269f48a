"""The public API as a type checker sees it. Checked by mypy, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

import pydantic
from openai import AsyncOpenAI, OpenAI

import ratedispatch as rd

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessage


class City(pydantic.BaseModel):
    """What an answer is to be."""

    name: str


async def use(client: AsyncOpenAI) -> None:
    limits = rd.Limits(requests_per_minute=10_000, tokens_per_minute=2_000_000)
    request = rd.Request.chat(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    async with rd.Dispatcher(client, limits, listeners=[print]) as dispatcher:
        outcome = await dispatcher.submit(request)
        assert_type(outcome, rd.Completed | rd.Failed)
        assert_type(outcome.text, str)
        assert_type(outcome.parsed(City), City)
        assert_type(outcome.parsed({"type": "object"}), Any)
        maybe: City | None = outcome.parsed(City | None)
        assert_type(maybe, City | None)
        async for each in dispatcher.map([request], ordered=True):
            assert_type(each, rd.Completed | rd.Failed)
        await dispatcher.warm_up("gpt-4o", connections=2)
        stream = dispatcher.stream(request)
        assert_type(stream, rd.AnswerStream)
        async for event in stream:
            assert_type(event, Any)
        assert_type(stream.usage, rd.Usage | None)
        assert_type(dispatcher.snapshot(), rd.Snapshot)
    report = await rd.run_file("in.jsonl", "out.jsonl", client=client, limits=limits)
    assert_type(report, rd.Report)
    assert_type(rd.count_tokens({"model": "gpt-4o"}, endpoint="/v1/chat/completions"), int)


def wrapped(plain: OpenAI, asynchronous: AsyncOpenAI) -> None:
    limits = rd.Limits(requests_per_minute=3_000)
    assert_type(rd.wrap(plain, limits, max_wait=30), OpenAI)
    assert_type(rd.wrap(asynchronous, rd.Gate(limits)), AsyncOpenAI)
    with rd.options(priority=1, caller="me", deadline=10):
        pass


def go_on(message: ChatCompletionMessage) -> rd.Request:
    return rd.Request.chat(model="gpt-4o", messages=[{"role": "user", "content": "hi"}, message])


def wrong_clients(blocking: OpenAI, limits: rd.Limits) -> None:
    rd.Dispatcher(blocking, limits)  # type: ignore[arg-type]
    rd.Dispatcher("https://api.openai.com/v1", limits)  # type: ignore[arg-type]
    rd.SyncDispatcher(blocking, limits)  # type: ignore[arg-type]


def use_threads(client: AsyncOpenAI) -> None:
    request = rd.Request.responses(model="gpt-4o", input="hi", text_format=City, timeout=5)
    with rd.SyncDispatcher(client, rd.Limits(60), max_in_flight=5) as dispatcher:
        assert_type(dispatcher.submit(request), rd.Completed | rd.Failed)
        for outcome in dispatcher.map([request], ordered=True):
            assert_type(outcome, rd.Completed | rd.Failed)
        for event in dispatcher.stream(request, priority=1):
            assert_type(event, Any)
        with dispatcher.permit(rd.Cost(5)) as permit:
            assert_type(permit, rd.SyncPermit)
