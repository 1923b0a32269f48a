"""Calls of a wrapped client: paced, refused, retried, and bounded; in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.http_library import http
from ratedispatch.dispatch.wrap.call_options import NO_OPTIONS, current_options
from ratedispatch.testing import run_virtual
from tests.dispatch.wrap.upstream import (
    ANSWER,
    ASK,
    BROKEN,
    QUOTA,
    RATE,
    Upstream,
    async_client,
    gate,
    sync_client,
)


def asked(content: str) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": content}]}


def test_calls_wait_above_their_time_outs() -> None:
    """Four at one a second leave a second apart, though each has half a second to be answered."""
    upstream = Upstream()

    async def main() -> None:
        client = rd.wrap(async_client(upstream, timeout=0.5), gate())
        calls = [client.chat.completions.create(**ASK) for _ in range(4)]
        answers = await asyncio.gather(*calls)
        assert [answer.choices[0].message.content for answer in answers] == ["Yes."] * 4

    run_virtual(main())
    assert upstream.at == pytest.approx([0, 1, 2, 3])


def test_the_result_is_of_the_same_type_and_the_original_is_not_paced() -> None:
    """The original and its cached resources stay bound to their own http client."""
    upstream = Upstream()

    async def main() -> None:
        plain = async_client(upstream)
        _ = plain.chat.completions
        wrapped = rd.wrap(plain, gate())
        assert type(wrapped) is openai.AsyncOpenAI
        assert isinstance(wrapped._client, http.AsyncClient)
        assert wrapped.chat is not plain.chat
        await asyncio.gather(*(plain.chat.completions.create(**ASK) for _ in range(3)))

    run_virtual(main())
    assert upstream.at == [0, 0, 0]


def test_every_way_of_calling_goes_through_one_queue() -> None:
    """A copy, raw, streamed, parsed and beta: a second apart each."""
    upstream = Upstream()

    async def main() -> None:
        client = rd.wrap(async_client(upstream), gate())
        await client.with_options(max_retries=0).chat.completions.create(**ASK)
        await client.copy(timeout=3).chat.completions.create(**ASK)
        raw = await client.chat.completions.with_raw_response.create(**ASK)
        assert raw.parse().id == "chatcmpl-1"
        streaming = client.chat.completions.with_streaming_response
        async with streaming.create(**ASK) as response:
            assert (await response.json())["id"] == "chatcmpl-1"
        await client.beta.chat.completions.parse(**ASK)
        if hasattr(client.chat.completions, "parse"):  # since 1.92
            await client.chat.completions.parse(**ASK)

    run_virtual(main())
    assert upstream.at[:5] == pytest.approx([0, 1, 2, 3, 4])
    assert upstream.at[5:] in ([pytest.approx(5)], [])


def test_what_is_not_limited_passes() -> None:
    """The list of models and an upload take no part of the limit."""
    upstream = Upstream(*[(200, {"object": "list", "data": []})] * 3)

    async def main() -> None:
        client = rd.wrap(async_client(upstream), gate())
        for _ in range(2):
            await client.models.list()
        await client.post("/files", cast_to=object, files={"file": b"abc"})

    run_virtual(main())
    assert upstream.at == [0, 0, 0]


def test_a_refusal_for_the_rate_is_not_seen() -> None:
    """The call goes again from its old place, before those that came later."""
    upstream = Upstream((429, RATE))

    async def main() -> None:
        client = rd.wrap(async_client(upstream, max_retries=0), gate())
        tasks = []
        for name in ("first", "second", "third"):
            tasks.append(asyncio.create_task(client.chat.completions.create(**asked(name))))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    run_virtual(main())
    first, *others = upstream.contents
    assert others[0] == first
    assert sorted(others) == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, QUOTA, openai.RateLimitError),
        (401, {"error": {"message": "no"}}, openai.AuthenticationError),
        (500, {"error": {"message": "oh"}}, openai.InternalServerError),
        (503, {"error": {"message": "busy"}}, openai.InternalServerError),
    ],
)
def test_other_errors_are_the_callers(status: int, body: Any, error: type[Exception]) -> None:
    """They come through at once, with their body, and the permit is closed."""
    upstream = Upstream((status, body))

    async def main() -> None:
        paces = gate()
        client = rd.wrap(async_client(upstream, max_retries=0), paces)
        with pytest.raises(error) as caught:
            await client.chat.completions.create(**ASK)
        assert caught.value.response.json() == body  # type: ignore[attr-defined]
        assert paces.snapshot().in_flight == 0

    run_virtual(main())
    assert len(upstream.seen) == 1


def test_a_refusal_that_is_not_to_be_retried_is_passed_on() -> None:
    """The server has said so in the header that the SDK obeys."""
    upstream = Upstream((429, RATE, {"x-should-retry": "false"}))

    async def main() -> None:
        client = rd.wrap(async_client(upstream), gate())
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(**ASK)

    run_virtual(main())


def test_after_enough_refusals_the_last_one_is_passed_on() -> None:
    """As many as the policy says, and one more."""
    upstream = Upstream(*[(429, RATE)] * 9)

    async def main() -> None:
        paces = gate(retry=rd.RetryPolicy(max_refusals=3))
        client = rd.wrap(async_client(upstream, max_retries=0), paces)
        with pytest.raises(openai.RateLimitError, match="Rate limit reached"):
            await client.chat.completions.create(**ASK)

    run_virtual(main())
    assert len(upstream.seen) == 4


@pytest.mark.parametrize("fault", [(500, {"error": {"message": "oh"}}), BROKEN])
def test_a_retry_of_the_sdk_keeps_its_place(fault: Any) -> None:
    """The call that failed goes before those that came after it."""
    upstream = Upstream(fault)

    async def main() -> None:
        client = rd.wrap(async_client(upstream, max_retries=1), gate())
        names = ["first", "second", "third", "fourth"]
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(client.chat.completions.create(**asked(name))))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    run_virtual(main())
    failed, again, *others = upstream.contents
    assert again == failed
    assert len(others) == 3


def test_a_call_that_would_wait_too_long_fails_at_once() -> None:
    """By the client, by a block, and by the deadline of a block; each error is the SDK's too."""
    upstream = Upstream()

    async def main() -> None:
        paces = gate()
        client = rd.wrap(async_client(upstream), paces, max_wait=0.5)
        await client.chat.completions.create(**ASK)
        with pytest.raises(openai.OpenAIError, match=r"within 0\.5 s: .* in 1 s") as caught:
            await client.chat.completions.create(**ASK)
        assert isinstance(caught.value, rd.DeadlineMissed)
        assert (caught.value.allowed, caught.value.earliest) == (0.5, 1)
        with rd.options(max_wait=0.1), pytest.raises(openai.OpenAIError):
            await client.chat.completions.create(**ASK)
        inner = rd.options(caller="me")
        with rd.options(deadline=0.2, max_wait=9), inner, pytest.raises(openai.OpenAIError):
            await client.chat.completions.create(**ASK)
        assert asyncio.get_running_loop().time() == 0
        with rd.options(max_wait=1):
            await client.chat.completions.create(**ASK)
        assert paces.snapshot().in_flight == paces.snapshot().waiting == 0

    run_virtual(main())
    assert upstream.at == pytest.approx([0, 1])


def test_a_call_waits_no_longer_than_it_may() -> None:
    """What it waits for is an answer, and nobody knows when that comes."""
    upstream = Upstream(seconds=10)

    async def main() -> None:
        paces = gate(rd.Limits(6_000), max_in_flight=1)
        client = rd.wrap(async_client(upstream), paces, max_wait=3)
        first = asyncio.create_task(client.chat.completions.create(**ASK))
        await asyncio.sleep(1)
        with pytest.raises(openai.OpenAIError, match="was not sent within 3 s"):
            await client.chat.completions.create(**ASK)
        assert asyncio.get_running_loop().time() == pytest.approx(4)
        await first
        assert paces.snapshot().in_flight == paces.snapshot().waiting == 0

    run_virtual(main())
    assert len(upstream.seen) == 1


def test_a_refused_call_waits_no_longer_than_it_may() -> None:
    """It would be sent again after the ten seconds that the server asks for."""
    upstream = Upstream((429, RATE, {"retry-after": "10"}))

    async def main() -> None:
        client = rd.wrap(async_client(upstream, max_retries=0), gate(rd.Limits(6_000)), max_wait=3)
        with pytest.raises(openai.OpenAIError) as caught:
            await client.chat.completions.create(**ASK)
        assert isinstance(caught.value, rd.DeadlineMissed)

    run_virtual(main())
    assert len(upstream.seen) == 1


def test_a_call_that_can_never_fit_fails_as_an_error_of_the_sdk() -> None:
    """With both numbers; nothing is sent."""
    upstream = Upstream()

    async def main() -> None:
        client = rd.wrap(async_client(upstream), gate(rd.Limits(tokens_per_minute=20)))
        with pytest.raises(openai.OpenAIError, match="the limit is 20 tokens") as caught:
            await client.chat.completions.create(**{**ASK, "max_tokens": 100})
        assert isinstance(caught.value, rd.CostExceedsLimit)
        assert caught.value.limit == 20

    run_virtual(main())
    assert upstream.seen == []


def test_a_cancelled_call_leaves_the_queue() -> None:
    """It spends nothing, and the next one goes when it would have gone."""
    upstream = Upstream(seconds=0.1)

    async def main() -> None:
        paces = gate()
        client = rd.wrap(async_client(upstream), paces)
        first = asyncio.create_task(client.chat.completions.create(**ASK))
        await asyncio.sleep(0)
        second = asyncio.create_task(client.chat.completions.create(**ASK))
        third = asyncio.create_task(client.chat.completions.create(**ASK))
        await asyncio.sleep(0.5)
        second.cancel()
        await asyncio.gather(first, third)
        assert paces.snapshot().levels[0].spent == 2
        fourth = asyncio.create_task(client.chat.completions.create(**ASK))
        await asyncio.sleep(1)
        fourth.cancel()  # in flight
        with pytest.raises(asyncio.CancelledError):
            await fourth
        assert paces.snapshot().in_flight == 0

    run_virtual(main())
    assert upstream.at == pytest.approx([0, 1, 2])


def test_threads_share_one_budget() -> None:
    """A blocking client: refusals are not seen, and the body of an error comes through."""
    upstream = Upstream((429, RATE), (500, {"error": {"message": "oh"}}))
    paces = rd.Gate(rd.Limits(requests_per_minute=60_000))
    client = rd.wrap(sync_client(upstream, max_retries=0), paces)
    with pytest.raises(openai.InternalServerError, match="oh"):
        client.chat.completions.create(**ASK)
    assert client.chat.completions.create(**ASK).id == ANSWER["id"]
    assert len(upstream.seen) == 3
    assert paces.snapshot().in_flight == 0


def test_a_blocking_call_waits_no_longer_than_it_may() -> None:
    """The minute has one request, and it is spent."""
    upstream = Upstream()
    client = rd.wrap(
        sync_client(upstream), rd.Gate(rd.Limits(requests_per_minute=1)), max_wait=0.02
    )
    client.chat.completions.create(**ASK)
    with pytest.raises(openai.OpenAIError, match="allow more time"):
        client.chat.completions.create(**ASK)
    assert len(upstream.seen) == 1


def test_a_higher_priority_goes_first_and_callers_share_what_is_left() -> None:
    """One that comes last goes next; two callers with weights 2 and 1 take turns by them."""
    upstream = Upstream()

    async def main() -> None:
        client = rd.wrap(async_client(upstream), gate(weights={"big": 2.0}))

        async def ask(name: str, caller: str, priority: int = 0) -> None:
            with rd.options(caller=caller, priority=priority):
                await client.chat.completions.create(**asked(name))

        await ask("warm", "")
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(ask("big", "big"))
            for _ in range(3):
                group.create_task(ask("small", "small"))
            await asyncio.sleep(0.1)
            group.create_task(ask("urgent", "", 1))

    run_virtual(main())
    assert upstream.contents[:2] == ["warm", "urgent"]
    assert sorted(upstream.contents[2:8]) == ["big"] * 4 + ["small"] * 2


def test_options_nest_and_do_not_leak() -> None:
    """What an inner block does not set stays; a mistake is told."""
    with rd.options(priority=2, caller="me", max_wait=3):
        with rd.options(priority=1, max_wait=1):
            inner = current_options()
        outer = current_options()
    assert (inner.turn.priority, inner.turn.caller, inner.max_wait) == (1, "me", 1)
    assert (outer.turn.priority, outer.turn.caller, outer.max_wait) == (2, "me", 3)
    assert current_options() is NO_OPTIONS
    wrong: list[dict[str, Any]] = [{"max_wait": 0}, {"deadline": -1}, {"max_wait": float("nan")}]
    for each in wrong:
        with pytest.raises(ValueError, match="above 0 seconds"), rd.options(**each):
            pass
    for name in ("priority", "caller"):
        mistake: dict[str, Any] = {name: 1.5}
        with pytest.raises(TypeError, match=name), rd.options(**mistake):
            pass
