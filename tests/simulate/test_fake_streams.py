"""Answers in parts: the events as they are made, and as the real SDK reads them off a socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import TYPE_CHECKING, Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import TransportError
from ratedispatch.outcome import Response
from ratedispatch.request import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.server.child import FakeServerProcess
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProvidedStream, ProviderTransport
from tests.sdk_features import needs_newer_sdk
from tests.simulate.providers import ask, chat, error, make_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES: Any = [{"role": "user", "content": "Who is Joseph Conrad?"}]
WITH_USAGE: Any = {"include_usage": True}


@pytest.fixture(scope="module")
def child() -> Iterator[FakeServerProcess]:
    flags = ("--charge", "characters", "--latency", "0", "--rpm", "60k", "--tpm", "1M")
    with FakeServerProcess(*flags) as server:
        yield server


@pytest.fixture
def server(child: FakeServerProcess) -> FakeServerProcess:
    child.reset()
    return child


@pytest.fixture(scope="module")
def client(child: FakeServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=child.base_url, api_key="any", max_retries=0) as client:
        yield client


def events(path: str, body: dict[str, Any], **settings: Any) -> list[Any]:
    """What a provider sends for *body*, without the last ``[DONE]``."""
    reply = ask(make_provider(**settings), {**body, "stream": True}, path=path)
    assert reply.stream is not None
    found = [event.data for event in reply.stream.events]
    return [json.loads(data) for data in found if data != "[DONE]"]


@given(cap=st.integers(1, 60), outputs=st.integers(1, 3), with_usage=st.booleans())
def test_chunks_add_up_to_the_whole_answer(cap: int, outputs: int, with_usage: bool) -> None:
    """Text, finish reasons and usage; one delta for each token, whatever the text's length."""
    body = chat(max_tokens=cap, n=outputs)
    whole = json.loads(ask(make_provider(), body).body)
    options = {"stream_options": WITH_USAGE} if with_usage else {}
    chunks = events(CHAT, {**body, **options})
    if with_usage:
        *chunks, last = chunks
        assert last["choices"] == []
        assert last["usage"] == whole["usage"]
        assert all(chunk["usage"] is None for chunk in chunks)
    else:
        assert all("usage" not in chunk for chunk in chunks)
    for index, choice in enumerate(whole["choices"]):
        own = [part for chunk in chunks for part in chunk["choices"] if part["index"] == index]
        assert own[0]["delta"]["role"] == "assistant"
        text = "".join(part["delta"].get("content", "") for part in own)
        # without an id it repeats the hash of the body, which has other fields
        assert text[:10] == choice["message"]["content"][:10]
        assert len(text) == len(choice["message"]["content"])
        assert [part["finish_reason"] for part in own[:-1]] == [None] * (len(own) - 1)
        assert own[-1]["finish_reason"] == choice["finish_reason"]
        assert (len(own) - 2) * outputs == whole["usage"]["completion_tokens"]


def test_response_events_come_in_order_and_are_numbered() -> None:
    """Created, added, deltas, done, completed; the last has the whole response."""
    body = {"model": "gpt-5-mini", "input": "abc", "max_output_tokens": 4}
    found = events(RESPONSES, body)
    assert [event["type"].removeprefix("response.") for event in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in found] == list(range(10))
    assert found[-1]["response"]["usage"]["output_tokens"] == 2
    assert found[0]["response"]["usage"] is None


def test_a_response_that_met_its_cap_is_incomplete() -> None:
    """As one that is sent whole."""
    body = {"model": "gpt-5-mini", "input": "abc", "max_output_tokens": 4}
    last = events(RESPONSES, body, output_share=1.0)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize("endpoint", [CHAT, COMPLETIONS, RESPONSES])
def test_a_stream_is_charged_as_a_whole_answer(endpoint: str) -> None:
    """Charge, headers, length and delay are the same."""
    body = {**chat(max_tokens=20), "prompt": "abc", "input": "abc", "max_output_tokens": 20}
    settings: Any = {"tokens_per_minute": 1000, "token_time": 0.1}
    whole = ask(make_provider(**settings), body, path=endpoint)
    parts = ask(make_provider(**settings), {**body, "stream": True}, path=endpoint)
    assert parts.stream is not None
    assert whole.stream is None
    assert (parts.charged, parts.actual, parts.delay) == (
        whole.charged,
        whole.actual,
        whole.delay,
    )
    assert parts.headers.pop("content-type") == "text/event-stream; charset=utf-8"
    del whole.headers["content-type"]
    assert parts.headers == whole.headers
    assert parts.stream.first == 0.5


def test_what_generates_nothing_comes_whole() -> None:
    body = {"model": "text-embedding-3-small", "input": "abc", "stream": True}
    reply = ask(make_provider(), body, path=EMBEDDINGS)
    assert reply.stream is None
    assert json.loads(reply.body)["object"] == "list"


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"stream": "yes"}, "stream"), ({"stream_options": WITH_USAGE}, "stream_options")],
)
def test_what_makes_no_sense_about_streams_is_named(fields: dict[str, Any], param: str) -> None:
    reply = ask(make_provider(), chat(**fields))
    assert reply.status == 400
    assert error(reply)["param"] == param


@pytest.mark.parametrize("name", ["stream_cut", "stream_error", "stream_stall"])
def test_faults_of_a_stream_strike_nothing_that_is_sent_whole(name: str) -> None:
    reply = ask(make_provider(faults={name: 1.0}), chat())
    assert (reply.kind, reply.status) == ("answer", 200)


def play(body: dict[str, Any], most: int = 1000, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """Read at most so many events in virtual time: (instant, event) of each, and the report."""
    options = {"charge": "characters", "latency": 1.0, "latency_sigma": 0.0, **settings}

    async def main() -> tuple[Any, dict[str, Any]]:
        loop = asyncio.get_running_loop()
        transport = ProviderTransport(ProviderSettings(**options), random.Random(1))
        response = await transport.stream(Request(body=body), 60.0)
        if isinstance(response, Response):
            return response, transport.referee.report()
        found: list[Any] = []
        try:
            async with asyncio.timeout(100):
                while len(found) < most:
                    event = await anext(response)
                    found.append((loop.time(), event))
        except StopAsyncIteration:
            found.append((loop.time(), "end"))
        except (TransportError, TimeoutError) as raised:
            found.append((loop.time(), type(raised).__name__))
        await response.aclose()
        return found, transport.referee.report()

    return run_virtual(main())


def test_a_stream_takes_its_time() -> None:
    """The head after the latency, then each token after its own time."""
    found, report = play(chat(max_tokens=6), token_time=0.25)
    assert [at for at, _ in found] == [1.0, 1.25, 1.5, 1.75, 1.75, 1.75]
    assert found[-1][1] == "end"
    assert report["answered"] == 1
    assert report["streams"]["begun"] == report["streams"]["whole"] == 1
    assert report["streams"]["first_event"]["max"] == pytest.approx(1.0, rel=0.01)
    assert report["latency"]["max"] == pytest.approx(1.75, rel=0.01)


def test_the_reservation_stays_charged_when_the_client_goes_away() -> None:
    """Half-way through, even where a whole answer is refunded."""
    settings: Any = {"refund": True, "tokens_per_minute": 1000}
    _, whole = play(chat(max_tokens=6), **settings)
    _, left = play(chat(max_tokens=6), most=2, **settings)
    assert whole["tokens_charged"] == left["tokens_charged"] == 9
    assert (whole["tokens_returned"], left["tokens_returned"]) == (3, 0)
    assert (whole["abandoned"], left["abandoned"]) == (0, 1)
    assert (whole["answered"], left["answered"]) == (1, 0)
    assert (whole["in_flight"], left["in_flight"]) == (0, 0)
    assert left["streams"]["begun"] == 1
    assert left["streams"]["whole"] == 0


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("stream_cut", "TransportError"),
        ("truncate", "TransportError"),
        ("stream_error", "end"),
        ("stream_stall", "TimeoutError"),
    ],
)
def test_a_stream_is_struck_in_the_middle(fault: str, end: str) -> None:
    """After half of its tokens; it is charged and not answered."""
    found, report = play(chat(max_tokens=8), faults={fault: 1.0})
    parts = [event for _, event in found]
    assert parts[-1] == end
    assert sum("choices" in event for event in parts[:-1]) == 3  # the role and two of four tokens
    if fault == "stream_error":
        assert parts[-2]["error"]["type"] == "server_error"
    assert report["faults"] == {fault: 1}
    assert (report["answered"], report["in_flight"]) == (0, 0)
    assert report["tokens_charged"] == 11


FAULTS = ("stream_cut", "stream_error", "stream_stall", "truncate", "disconnect", "reset", "500")


@given(
    plan=st.lists(st.tuples(st.booleans(), st.integers(1, 40), st.integers(0, 30)), max_size=30),
    struck=st.sampled_from(FAULTS),
    refund=st.booleans(),
    seed=st.integers(0, 999),
)
def test_the_books_hold_whatever_becomes_of_streams(
    plan: list[tuple[bool, int, int]], struck: str, refund: bool, seed: int
) -> None:
    """
    Streams and whole answers, some struck and some left: every charge is in the books once.

    Of each request of the plan: whether it is a stream, its cap, and the events that are read.
    """
    settings = ProviderSettings(
        charge="characters",
        requests_per_minute=20,
        tokens_per_minute=400,
        refund=refund,
        token_time=0.01,
        faults={struck: 0.3},
    )

    async def main() -> None:
        transport = ProviderTransport(settings, random.Random(seed))
        arrive, replies = transport.provider.arrive, []
        finish, returned = transport.provider.finish, []

        def arriving(*arguments: Any) -> Any:
            replies.append(arrive(*arguments))
            return replies[-1]

        def finishing(*arguments: Any) -> int:
            returned.append(finish(*arguments))
            return returned[-1]

        transport.provider.arrive = arriving  # type: ignore[assignment, method-assign]
        transport.provider.finish = finishing  # type: ignore[assignment, method-assign]

        async def one(number: int, is_stream: bool, cap: int, most: int) -> None:
            request = Request(body=chat(max_tokens=cap), custom_id=f"row-{number}")
            with contextlib.suppress(TransportError, TimeoutError):
                async with asyncio.timeout(60):
                    if not is_stream:
                        await transport.send(request, 60.0)
                        return
                    response = await transport.stream(request, 60.0)
                    if isinstance(response, Response):
                        return
                    async with contextlib.aclosing(response):
                        for _ in range(most):
                            await anext(response, None)

        await asyncio.gather(*(one(number, *each) for number, each in enumerate(plan)))
        report = transport.referee.report()
        assert report["tokens_charged"] == sum(reply.charged for reply in replies)
        assert report["admitted"] == sum(reply.is_admitted for reply in replies)
        assert report["tokens_returned"] == sum(returned)
        assert report["in_flight"] == 0
        struck_or_left = report["faults"].get(struck, 0) + report["abandoned"]
        assert report["answered"] <= report["admitted"] <= report["answered"] + struck_or_left
        assert report["answers_too_many"] == 0
        assert report["streams"]["whole"] <= report["streams"]["begun"]
        assert sum(report["per_second"]["tokens_charged"]) == report["tokens_charged"]

    run_virtual(main())


def test_a_refusal_comes_whole() -> None:
    response, report = play(chat(max_tokens=60), tokens_per_minute=10)
    assert isinstance(response, Response)
    assert response.status == 429
    assert report["streams"]["begun"] == 0


def test_an_error_before_the_head_comes_whole() -> None:
    response, _ = play(chat(), faults={"500": 1.0})
    assert isinstance(response, Response)
    assert response.status == 500


def test_leaving_a_stream_twice_is_counted_once() -> None:
    async def main() -> None:
        transport = ProviderTransport(ProviderSettings(charge="characters"), random.Random(1))
        response = await transport.stream(Request(body=chat()), 60.0)
        assert isinstance(response, ProvidedStream)
        await response.aclose()
        await response.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(response)
        assert transport.referee.report()["abandoned"] == 1
        assert transport.referee.report()["in_flight"] == 0

    run_virtual(main())


def test_the_sdk_reads_chunks_and_usage(server: FakeServerProcess, client: openai.OpenAI) -> None:
    """Each is parsed; the limits stand in the head."""
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4o-mini",
        messages=MESSAGES,
        max_tokens=10,
        stream=True,
        stream_options=WITH_USAGE,
        extra_headers={"X-Client-Request-Id": "row-7"},
    ) as response:
        assert response.headers["x-ratelimit-remaining-tokens"] == "999982"
        chunks = list(response.parse())
    *parts, last = chunks
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == "answer to row-7"
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (8, 5)
    stats = server.stats()
    assert (stats["answered"], stats["tokens_charged"]) == (1, 18)
    assert stats["streams"]["whole"] == 1


@needs_newer_sdk
def test_the_helpers_of_the_sdk_collect_streams(
    server: FakeServerProcess, client: openai.OpenAI
) -> None:
    """`.stream()` of chat and of responses; every event passes its own checks."""
    with client.chat.completions.stream(
        model="gpt-4o-mini", messages=MESSAGES, max_tokens=64
    ) as chunks:
        completion = chunks.until_done().get_final_completion()
    with client.responses.stream(model="gpt-5-mini", input="Hi", max_output_tokens=64) as found:
        names = [event.type for event in found]
        response = found.get_final_response()
    assert completion.choices[0].message.content is not None
    assert completion.choices[0].message.content.startswith("answer to ")
    assert names[-1] == "response.completed"
    assert response.output_text.startswith("answer to ")
    assert response.usage is not None
    assert response.usage.output_tokens == 32
    assert server.stats()["answered"] == 2


@needs_newer_sdk
def test_the_async_sdk_reads_streams_at_once(server: FakeServerProcess) -> None:
    """Chat, responses and legacy completions side by side."""

    async def main() -> None:
        async with openai.AsyncOpenAI(
            base_url=server.base_url, api_key="any", max_retries=0
        ) as client:

            async def one(number: int) -> str:
                headers = {"X-Client-Request-Id": f"row-{number}"}
                if number % 3 == 0:
                    chunks = await client.chat.completions.create(
                        model="m", messages=MESSAGES, stream=True, extra_headers=headers
                    )
                    parts = [chunk.choices[0].delta.content or "" async for chunk in chunks]
                elif number % 3 == 1:
                    made = await client.responses.create(
                        model="m", input="Hi", stream=True, extra_headers=headers
                    )
                    parts = [
                        event.delta
                        async for event in made
                        if event.type == "response.output_text.delta"
                    ]
                else:
                    legacy = await client.completions.create(
                        model="m", prompt="Hi", stream=True, extra_headers=headers
                    )
                    parts = [chunk.choices[0].text async for chunk in legacy]
                return "".join(parts)

            texts = await asyncio.gather(*(one(number) for number in range(30)))
        assert texts == [f"answer to row-{number}" for number in range(30)]

    asyncio.run(main())
    stats = server.stats()
    assert stats["answered"] == stats["answered_rows"] == stats["streams"]["whole"] == 30


@needs_newer_sdk
def test_the_connection_serves_on_after_a_stream(
    server: FakeServerProcess, client: openai.OpenAI
) -> None:
    """With responses: of chunks the SDK does not read what comes after ``[DONE]``."""
    for _ in range(3):
        list(client.responses.create(model="m", input="Hi", stream=True))
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert server.stats()["answered"] == 6
    assert server.stats()["connections_opened"] <= 3  # the SDK's, and one for each question


@needs_newer_sdk
@pytest.mark.parametrize("fault", ["stream_cut", "stream_error"])
def test_the_sdk_tells_of_a_broken_stream(fault: str) -> None:
    """After the first parts came."""
    with (
        FakeServerProcess(
            "--charge", "characters", "--latency", "0", "--fault", f"{fault}=1"
        ) as server,
        openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client,
    ):
        for kind in ("chat", "responses"):
            parts = []
            with pytest.raises(openai.APIError) as raised:  # noqa: PT012 - parts come before it
                stream: Any
                if kind == "chat":
                    stream = client.chat.completions.create(
                        model="m", messages=MESSAGES, stream=True
                    )
                else:
                    stream = client.responses.create(model="m", input="Hi", stream=True)
                for part in stream:
                    parts.append(part)
                    if part.type == "error" if kind == "responses" else False:
                        raise openai.APIError(part.message, None, body=None)  # type: ignore[arg-type]
            assert len(parts) >= 4
            assert not isinstance(raised.value, openai.APIStatusError)
        stats = server.stats()
    assert (stats["faults"], stats["answered"], stats["in_flight"]) == ({fault: 2}, 0, 0)


def test_who_leaves_a_stream_is_abandoned_and_stays_charged() -> None:
    """The server sees the connection end, and sends no more."""
    flags = ("--charge", "characters", "--latency", "0", "--token-time", "0.05", "--refund")
    with (
        FakeServerProcess(*flags, "--tpm", "1M") as server,
        openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(
            model="m", messages=MESSAGES, stream=True, max_tokens=1000
        )
        next(iter(stream))
        stream.close()
        while (stats := server.stats())["in_flight"]:
            pass
    assert (stats["abandoned"], stats["answered"], stats["tokens_returned"]) == (1, 0, 0)
    assert stats["tokens_charged"] == 1008
