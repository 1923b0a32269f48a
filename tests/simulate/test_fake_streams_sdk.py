"""Streamed answers of the fake server, as the real SDK reads them off a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai
import pytest

from ratedispatch.simulate.server.child import FakeServerProcess
from tests.sdk_features import needs_newer_sdk

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
