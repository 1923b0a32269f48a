"""Answers in parts: the events as a provider makes them, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import TransportError
from ratedispatch.outcome import Response
from ratedispatch.request import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProvidedStream, ProviderTransport
from tests.simulate.providers import ask, chat, error, make_provider

MESSAGES: Any = [{"role": "user", "content": "Who is Joseph Conrad?"}]
WITH_USAGE: Any = {"include_usage": True}


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
