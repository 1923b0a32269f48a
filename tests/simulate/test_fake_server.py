"""The fake server as a client meets it: over a socket, with the real SDK."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest

from ratedispatch.simulate.server.child import FakeServerProcess
from ratedispatch.simulate.server.server import FakeServer, raise_file_limit
from ratedispatch.simulate.settings import ProviderSettings
from tests.sdk_features import needs_newer_sdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


MESSAGES: Any = [{"role": "user", "content": "Who is Joseph Conrad?"}]
BODY = {"model": "gpt-4o-mini", "messages": MESSAGES, "max_tokens": 10}


# one child for the module: it starts in half a second, a test runs in a hundredth
@pytest.fixture(scope="module")
def child() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--charge", "characters", "--latency", "0") as server:
        yield server


@pytest.fixture
def server(child: FakeServerProcess) -> FakeServerProcess:
    child.set_limits(rpm=None, tpm=None)
    child.reset()
    return child


@pytest.fixture(scope="module")
def client(child: FakeServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=child.base_url, api_key="any", max_retries=0) as client:
        yield client


@contextlib.asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[str]:
    """A server on this loop; its address, without the version."""
    options = {"charge": "characters", "latency": 0.0, **settings}
    server = FakeServer(ProviderSettings(**options))
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()


async def post(
    session: aiohttp.ClientSession, url: str, body: Any = BODY, path: str = "/chat/completions"
) -> tuple[int, dict[str, Any], Any]:
    async with session.post(url + path, json=body) as response:
        return response.status, dict(response.headers), await response.json(content_type=None)


def test_a_chat_answer_is_parsed_by_the_sdk(
    server: FakeServerProcess, client: openai.OpenAI
) -> None:
    """With usage, id and the text that names its request."""
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=MESSAGES,
        max_tokens=10,
        extra_headers={"X-Client-Request-Id": "row-7"},
    )
    assert answer.choices[0].message.content == "answer to row-7"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 8 + 5
    assert answer.model == "gpt-4o-mini"
    assert answer._request_id is not None
    assert server.stats()["answered_rows"] == 1


@needs_newer_sdk
def test_a_response_is_parsed_by_the_sdk(server: FakeServerProcess, client: openai.OpenAI) -> None:
    """Its text, its usage, its status."""
    answer = client.responses.create(model="gpt-5-mini", input="a", max_output_tokens=20)
    assert answer.output_text.startswith("answer to ")
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 10


def test_embeddings_are_parsed_by_the_sdk(server: FakeServerProcess, client: openai.OpenAI) -> None:
    """One vector for each text, packed or not."""
    for encoding in ("float", "base64"):
        answer = client.embeddings.create(
            model="text-embedding-3-small",
            input=["a", "b"],
            encoding_format=encoding,
        )
        assert len(answer.data) == 2
        assert answer.usage.prompt_tokens == 1
    plain = client.embeddings.create(model="m", input=["a", "b"], dimensions=4)
    assert [len(item.embedding) for item in plain.data] == [4, 4]


def test_a_completion_is_parsed_by_the_sdk(
    server: FakeServerProcess, client: openai.OpenAI
) -> None:
    """The legacy shape."""
    answer = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="a", n=2)
    assert [choice.text[:10] for choice in answer.choices] == ["answer to "] * 2


def test_models_are_listed(server: FakeServerProcess, client: openai.OpenAI) -> None:
    """For clients that look before they ask."""
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]


def test_a_refusal_is_the_sdks_rate_limit_error(
    server: FakeServerProcess, client: openai.OpenAI
) -> None:
    """With code, type, message, waits and headers; and the referee knows."""
    server.set_limits(rpm=2)
    server.reset()
    server.set_limits(rpm=2)
    for _ in range(2):
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    error = caught.value
    assert (error.code, error.type) == ("rate_limit_exceeded", "requests")
    assert "Limit 2, Used 2, Requested 1. Please try again in 30s." in error.message
    assert 28 <= int(error.response.headers["retry-after"]) <= 30
    assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
    stats = server.stats()
    assert stats["refused"] == {"requests": 1}
    assert stats["admitted"] == 2
    assert stats["excess"]["admitted"]["requests"] <= 0 < stats["excess"]["offered"]["requests"]


def test_an_unknown_model_is_not_found(server: FakeServerProcess, client: openai.OpenAI) -> None:
    """As the SDK's NotFoundError."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=MESSAGES)
    assert caught.value.code == "model_not_found"


def test_a_bad_request_is_refused(server: FakeServerProcess, client: openai.OpenAI) -> None:
    """As the SDK's BadRequestError."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gpt-4o-mini", messages=[])
    assert caught.value.param == "messages"


def test_a_reset_forgets_everything(server: FakeServerProcess, client: openai.OpenAI) -> None:
    """Books and buckets."""
    client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert server.stats()["arrived"] == 1
    server.reset()
    assert server.stats()["arrived"] == 0


def test_limits_that_mean_nothing_are_refused(server: FakeServerProcess) -> None:
    """The child keeps the ones it has."""
    with pytest.raises(RuntimeError, match="above zero"):
        server.set_limits(rpm=-1)
    with pytest.raises(RuntimeError, match="404"):
        server._ask("GET", "/_nothing")
    assert server.set_limits(rpm=7) == {"requests": 7, "tokens": None}


@pytest.mark.slow
def test_sigterm_ends_it_with_open_connections() -> None:
    """Exit code 0, though one connection hangs and another idles."""
    with FakeServerProcess("--charge", "characters", "--fault", "hang=1") as server:
        with (
            socket.create_connection(("127.0.0.1", server.port)) as hanging,
            socket.create_connection(("127.0.0.1", server.port)),
        ):
            hanging.sendall(
                b"POST /v1/embeddings HTTP/1.1\r\nContent-Length: 25\r\n\r\n"
                b'{"model":"m","input":"a"}'
            )
            while server.stats()["in_flight"] == 0:
                pass
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=1) == 0
            assert hanging.recv(1) == b""
        assert server.stop() == 0
        assert server.stop() == 0  # more than once does no harm


@pytest.mark.slow
def test_it_ends_with_its_parent() -> None:
    """Closing its standard input, as the death of a parent does, is enough."""
    with FakeServerProcess("--charge", "characters") as server:
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(timeout=5) == 0


@pytest.mark.slow
def test_a_port_in_use_is_one_sentence(child: FakeServerProcess) -> None:
    """On standard error, with exit code 2."""
    command = [sys.executable, "-m", "ratedispatch", "fake-server", "--charge", "characters"]
    result = subprocess.run(
        [*command, "--port", str(child.port)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"cannot listen on 127.0.0.1:{child.port}: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_child_that_does_not_start_is_an_error() -> None:
    """And says its exit code."""
    with pytest.raises(RuntimeError, match="exit code 2"):
        FakeServerProcess("--fault", "earthquake=1").start()


FAULTS = [
    ("500", openai.InternalServerError),
    ("503", openai.InternalServerError),
    ("slow_down", openai.InternalServerError),
    ("html", openai.InternalServerError),
    ("429", openai.RateLimitError),
    ("reset", openai.APIConnectionError),
    ("disconnect", openai.APIConnectionError),
    ("truncate", openai.APIConnectionError),
]


@pytest.mark.parametrize(("name", "kind"), FAULTS)
def test_a_fault_is_an_error_of_the_sdk(name: str, kind: type[openai.APIError]) -> None:
    """Each fault is what the SDK makes of the real thing."""

    async def main() -> None:
        async with (
            serving(faults={name: 1.0}) as url,
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
        ):
            with pytest.raises(kind):
                await client.post("/chat/completions", cast_to=object, body=BODY)
            async with aiohttp.ClientSession() as session, session.get(f"{url}/_stats") as got:
                stats = await got.json()
            assert stats["faults"] == {name: 1}
            assert stats["in_flight"] == stats["answered"] == 0

    asyncio.run(main())


def test_a_page_instead_of_json_is_no_answer() -> None:
    """Status 200, but HTML."""

    async def main() -> None:
        async with (
            serving(faults={"html200": 1.0}) as url,
            aiohttp.ClientSession() as session,
            session.post(f"{url}/v1/chat/completions", json=BODY) as response,
        ):
            assert (response.status, response.content_type) == (200, "text/html")

    asyncio.run(main())


def test_what_hangs_is_freed_when_the_client_gives_up() -> None:
    """It was charged, it was never answered, and nothing of it stays."""

    async def main() -> None:
        timeout = aiohttp.ClientTimeout(sock_read=0.02)  # runs once the request is sent
        async with (
            serving(faults={"hang": 1.0}, requests_per_minute=10) as url,
            aiohttp.ClientSession() as session,
        ):
            with pytest.raises(TimeoutError):
                await session.post(f"{url}/v1/chat/completions", json=BODY, timeout=timeout)
            stats: dict[str, Any] = {"in_flight": 1}
            while stats["in_flight"]:
                _, _, stats = await post(session, url, path="/_stats")
            assert stats["abandoned"] == 1
            assert stats["in_flight"] == 0
            assert stats["in_flight_peak"] == 1

    asyncio.run(main())


def test_a_client_that_leaves_early_is_not_answered() -> None:
    """The timer of its answer is stopped."""

    async def main() -> None:
        timeout = aiohttp.ClientTimeout(total=0.02)
        async with serving(latency=30.0) as url, aiohttp.ClientSession() as session:
            with pytest.raises(TimeoutError):
                await session.post(f"{url}/v1/chat/completions", json=BODY, timeout=timeout)
            await asyncio.sleep(0.01)
            _, _, stats = await post(session, url, path="/_stats")
            assert (stats["abandoned"], stats["answered"]) == (1, 0)

    asyncio.run(main())


def test_only_the_right_key_gets_in() -> None:
    """Another one is the SDK's AuthenticationError."""

    async def main() -> None:
        async with serving(api_key="right") as url:
            for key, error in (("right", None), ("wrong", openai.AuthenticationError)):
                async with openai.AsyncOpenAI(
                    base_url=f"{url}/v1", api_key=key, max_retries=0
                ) as client:
                    call = client.chat.completions.create(model="m", messages=MESSAGES)
                    if error is None:
                        await call
                    else:
                        with pytest.raises(error):
                            await call

    asyncio.run(main())


def test_limits_are_halved_while_it_runs() -> None:
    """Headers and referee follow at once."""

    async def main() -> None:
        async with (
            serving(requests_per_minute=60, tokens_per_minute=60000) as url,
            aiohttp.ClientSession() as session,
        ):
            status, headers, _ = await post(session, url)
            assert (status, headers["x-ratelimit-limit-tokens"]) == (200, "60000")
            _, _, limits = await post(session, url, {"rpm": 30, "tpm": 30000}, "/_limits")
            assert limits == {"requests": 30, "tokens": 30000}
            _, headers, _ = await post(session, url)
            assert headers["x-ratelimit-limit-tokens"] == "30000"
            assert headers["x-ratelimit-remaining-requests"] == "29"
            nonsenses: list[Any] = [[], {"rpm": "many"}, {"tpm": 0}]
            for nonsense in nonsenses:
                status, _, _ = await post(session, url, nonsense, "/_limits")
                assert status == 400
            _, _, stats = await post(session, url, path="/v1/_stats")
            assert stats["limits"] == limits

    asyncio.run(main())


def test_a_hundred_connections_are_answered_at_once() -> None:
    """Each gets its own answer, and the peaks are counted."""

    async def main() -> None:
        async with (
            serving(latency=0.02, latency_sigma=0.0) as url,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):

            async def ask(number: int) -> str:
                async with session.post(
                    f"{url}/v1/chat/completions",
                    json=BODY,
                    headers={"X-Client-Request-Id": str(number)},
                ) as response:
                    answer = await response.json()
                    text = answer["choices"][0]["message"]["content"]
                    assert isinstance(text, str)
                    return text

            texts = await asyncio.gather(*(ask(number) for number in range(100)))
            assert texts == [f"answer to {number}" for number in range(100)]
            _, _, stats = await post(session, url, path="/_stats")
            assert stats["answered_rows"] == 100
            assert stats["in_flight_peak"] > 10
            assert stats["connections_peak"] == stats["connections_opened"] >= 100
            _, _, done = await post(session, url, path="/_reset")
            assert done == {"ok": True}
            _, _, stats = await post(session, url, path="/_stats")
            assert (stats["arrived"], stats["connections_opened"]) == (0, 0)

    asyncio.run(main())


def test_a_full_queue_is_an_error_of_the_sdk() -> None:
    """A 503 like any other; a reset empties queue and places."""

    async def main() -> None:
        async with (
            serving(latency=30.0, latency_sigma=0.0, engine_slots=1, queue=1) as url,
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
            aiohttp.ClientSession() as session,
        ):
            calls = [
                asyncio.ensure_future(client.post("/chat/completions", cast_to=object, body=BODY))
                for _ in range(2)
            ]
            stats: dict[str, Any] = {}
            while stats.get("admitted") != 2:
                _, _, stats = await post(session, url, path="/_stats")
            with pytest.raises(openai.InternalServerError) as caught:
                await client.post("/chat/completions", cast_to=object, body=BODY)
            assert caught.value.status_code == 503
            assert "queue is full" in caught.value.message
            _, _, stats = await post(session, url, path="/_stats")
            assert stats["refused"] == {"queue_full": 1}
            assert stats["queue_peak"] == 1
            await post(session, url, path="/_reset")
            _, _, stats = await post(session, url, path="/_stats")
            assert (stats["queue_peak"], stats["per_second"]["arrived"]) == (0, [])
            with pytest.raises(openai.APITimeoutError):  # it is served, not refused
                await client.post(
                    "/chat/completions", cast_to=object, body=BODY, options={"timeout": 0.02}
                )
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(main())


def test_what_was_due_has_happened_when_one_asks() -> None:
    """Changes and the other client's requests, though nothing arrived; a reset undoes both."""

    async def main() -> None:
        async with (
            serving(
                requests_per_minute=60, changes=((0.0, 30, None),), competitor=((0.0, 1.0),)
            ) as url,
            aiohttp.ClientSession() as session,
        ):
            for _ in range(2):
                _, _, stats = await post(session, url, path="/_stats")
                assert stats["limits"] == {"requests": 30, "tokens": None}
                assert stats["competitor"] == {"admitted": 1, "refused": 0, "tokens": 50}
                _, _, limits = await post(session, url, {"tpm": 600}, "/_limits")
                assert limits == {"requests": 30, "tokens": 600}
                _, _, stats = await post(session, url, path="/_stats")
                assert stats["limits"] == limits
                await post(session, url, path="/_reset")

    asyncio.run(main())


def test_a_hang_does_not_keep_it_from_stopping() -> None:
    """Stopping cuts what is still waited for."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            async with serving(faults={"hang": 1.0}) as url:
                call = asyncio.ensure_future(session.post(f"{url}/v1/chat/completions", json=BODY))
                await asyncio.sleep(0.02)
            with pytest.raises(aiohttp.ClientError):
                await call

    asyncio.run(main())


def test_as_many_files_may_be_open_as_the_system_permits() -> None:
    """Thousands of connections need it; more than once does no harm."""
    raise_file_limit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard
