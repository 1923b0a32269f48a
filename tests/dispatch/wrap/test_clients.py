"""Every kind of client of the SDK, wrapped: of the same type, and paced by the same line."""

from __future__ import annotations

import asyncio
import gc
import inspect
from typing import TYPE_CHECKING, Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.http_library import http as httpx
from ratedispatch.dispatch.wrap.paced_http import gate_of, gates_of
from ratedispatch.dispatch.wrap.pool_size import pool_size
from ratedispatch.simulate.server.child import FakeServerProcess
from ratedispatch.testing import run_virtual
from tests.dispatch.wrap.upstream import ASK, Upstream, async_client, gate, sync_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The transport of aiohttp, which early versions of the SDK have not.
AIO = [True] if hasattr(openai, "DefaultAioHttpClient") else []

LIMITS = rd.Limits(requests_per_minute=60_000)
AZURE: Any = {"azure_endpoint": "http://azure.test", "api_version": "2024-06-01", "api_key": "any"}


class Own(openai.AsyncOpenAI):
    """A subclass whose constructor takes something else, so that the SDK cannot copy it."""

    def __init__(self, tenant: str, http: httpx.AsyncClient) -> None:
        super().__init__(api_key=tenant, http_client=http)
        self.tenant = tenant


def mock(upstream: Upstream) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(upstream.in_time))


KINDS: dict[str, Callable[[Upstream], openai.AsyncOpenAI]] = {
    "plain": async_client,
    "azure": lambda up: openai.AsyncAzureOpenAI(http_client=mock(up), **AZURE),
    "azure deployment": lambda up: openai.AsyncAzureOpenAI(
        http_client=mock(up),
        azure_deployment="mine",
        **AZURE,
    ),
    "subclass": lambda up: Own("one", mock(up)),
    "strict": lambda up: async_client(up, _strict_response_validation=True),
    "bedrock": lambda up: _of_bedrock(mock(up)),
    "key from a function": lambda up: openai.AsyncOpenAI(api_key=_key, http_client=mock(up)),
}


def _of_bedrock(http: httpx.AsyncClient) -> openai.AsyncOpenAI:
    providers = pytest.importorskip("openai.providers")  # version 3 has them
    settings: Any = {"provider": providers.bedrock(region="us-east-1", api_key="any")}
    return openai.AsyncOpenAI(http_client=http, **settings)


async def _key() -> str:
    return "fresh"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_paced_and_stays_what_it_is(kind: str) -> None:
    """Three calls go a second apart, and no field differs but the http client."""
    upstream = Upstream()

    async def main() -> None:
        plain = KINDS[kind](upstream)
        wrapped = rd.wrap(plain, gate())
        assert type(wrapped) is type(plain)
        assert wrapped._strict_response_validation is plain._strict_response_validation
        assert getattr(wrapped, "tenant", None) == getattr(plain, "tenant", None)
        await asyncio.gather(*(wrapped.chat.completions.create(**ASK) for _ in range(3)))

    run_virtual(main())
    assert upstream.at == pytest.approx([0, 1, 2])


def test_a_copy_with_another_http_client_is_paced_too() -> None:
    """Its calls would be missed otherwise, since the line stands in the http client."""
    upstream = Upstream()

    async def main() -> None:
        paces = gate()
        client = rd.wrap(async_client(upstream), paces)
        other = client.copy(http_client=mock(upstream))
        third = other.with_options(timeout=5)
        assert gate_of(other._client) is gate_of(third._client) is paces
        assert third._client is other._client
        assert inspect.signature(client.copy) == inspect.signature(async_client(upstream).copy)
        for each in (client, other, third):
            await each.chat.completions.create(**ASK)

    run_virtual(main())
    assert upstream.at == pytest.approx([0, 1, 2])


def test_wrapping_twice_paces_once() -> None:
    """The last one counts."""
    upstream = Upstream()

    async def main() -> None:
        first, second = gate(), gate()
        client = rd.wrap(rd.wrap(async_client(upstream), first), second)
        await client.chat.completions.create(**ASK)
        assert [each.snapshot().levels[0].spent for each in (first, second)] == [0, 1]

    run_virtual(main())


def test_the_state_of_the_http_client_is_one() -> None:
    """Hooks that are added later hold, and what is closed is closed."""
    upstream = Upstream()
    hooked: list[Any] = []
    plain = sync_client(upstream)
    client = rd.wrap(plain, LIMITS)
    plain._client.event_hooks = {"request": [hooked.append]}
    client.chat.completions.create(**ASK)
    assert len(hooked) == 1
    client.close()
    assert plain._client.is_closed
    assert plain.is_closed()


def test_an_error_of_a_hook_closes_the_permit() -> None:
    """It is the caller's; older versions of the SDK take it for a broken connection."""

    def fail(_: Any) -> None:
        raise KeyError("mine")

    upstream = Upstream()
    http = httpx.Client(transport=httpx.MockTransport(upstream), event_hooks={"response": [fail]})
    paces = rd.Gate(LIMITS)
    client = rd.wrap(openai.OpenAI(api_key="any", http_client=http), paces)
    with pytest.raises((KeyError, openai.APIConnectionError)):
        client.chat.completions.create(**ASK)
    assert paces.snapshot().in_flight == 0


def test_an_answer_that_a_hook_has_read_is_read_once() -> None:
    """A hook that logs bodies reads streams too."""
    upstream = Upstream()
    http = httpx.Client(
        transport=httpx.MockTransport(upstream),
        event_hooks={"response": [lambda response: response.read()]},
    )
    paces = rd.Gate(LIMITS)
    client = rd.wrap(openai.OpenAI(api_key="any", http_client=http), paces)
    with client.chat.completions.with_streaming_response.create(**ASK) as response:
        assert response.json()["id"] == "chatcmpl-1"
    assert paces.snapshot().in_flight == 0


def test_a_signed_request_waits_no_longer_than_its_signature_is_good() -> None:
    """It would be refused five minutes after it was signed; here it would wait for twenty."""
    upstream = Upstream()

    async def main() -> None:
        signed = {"x-amz-date": "20260101T000000Z"}
        client = rd.wrap(
            async_client(upstream, default_headers=signed),
            gate(rd.Limits(requests_per_minute=0.05, burst_seconds=0)),
        )
        await client.chat.completions.create(**ASK)
        with pytest.raises(openai.OpenAIError, match=r"within 240 s.*before its signature expires"):
            await client.chat.completions.create(**ASK)
        assert asyncio.get_running_loop().time() == 0

    run_virtual(main())


def test_clients_of_one_account_share_its_limits() -> None:
    """Equal base URL, key and limits; anything else keeps them apart."""
    one = rd.wrap(openai.OpenAI(api_key="a"), LIMITS)
    same = rd.wrap(openai.AsyncOpenAI(api_key="a"), LIMITS)
    others = [
        rd.wrap(openai.OpenAI(api_key="b"), LIMITS),
        rd.wrap(openai.OpenAI(api_key="a", base_url="http://other.test/v1"), LIMITS),
        rd.wrap(openai.OpenAI(api_key="a"), rd.Limits(requests_per_minute=61_000)),
        rd.wrap(openai.OpenAI(api_key="a"), LIMITS, max_in_flight=3),
    ]
    assert gate_of(one._client) is gate_of(same._client)
    assert len({gate_of(each._client) for each in (one, *others)}) == 5
    url = "http://any.test/v1"
    sync = rd.http_client(LIMITS, base_url=url)
    asynchronous = rd.async_http_client(LIMITS, base_url=url)
    assert gate_of(sync) is gate_of(asynchronous) is not gate_of(one._client)


def test_a_gate_that_nobody_uses_is_forgotten() -> None:
    """The next one begins with full buckets."""
    limits = rd.Limits(requests_per_minute=1)
    upstream = Upstream()
    for _ in range(2):
        client = rd.wrap(sync_client(upstream), limits, max_wait=0.01)
        client.chat.completions.create(**ASK)
        del client
        gc.collect()
    assert len(upstream.seen) == 2


def test_the_pool_bounds_what_is_in_flight() -> None:
    """The SDK's, a given one, aiohttp's; what is not known is as large as the SDK's."""
    small = httpx.Client(limits=httpx.Limits(max_connections=7))
    assert pool_size(small) == 7
    assert pool_size(httpx.Client()) == 100
    assert pool_size(openai.OpenAI(api_key="any")._client) == 1000
    if AIO:
        assert pool_size(openai.DefaultAioHttpClient()) == 1000
    assert pool_size(object()) is None
    unlimited = rd.Limits(requests_per_minute=1e9)
    found = gate_of(rd.wrap(openai.OpenAI(api_key="a", http_client=small), unlimited)._client)
    assert found is not None
    assert found.options.connections == 7


class Alike:
    """A client of another API, made by the same generator."""

    base_url = "https://api.example.test"

    def __init__(self) -> None:
        self._client = httpx.Client()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rd.wrap(object(), LIMITS), "client of the openai package, got object"),
        (lambda: rd.wrap(Alike(), LIMITS), "client of the openai package, got Alike"),
        (lambda: rd.wrap(openai.OpenAI, LIMITS), "client of the openai package, got type"),
        (lambda: rd.wrap(httpx.Client(), LIMITS), "use http_client"),
        (lambda: rd.wrap(openai.OpenAI(api_key="a"), 3), "expected Limits"),  # type: ignore[arg-type]
        (lambda: rd.http_client(LIMITS, httpx.AsyncClient()), "httpx.Client, got AsyncClient"),
        (lambda: rd.async_http_client(LIMITS, httpx.Client()), "AsyncClient, got Client"),
        (lambda: rd.wrap(openai.OpenAI(api_key="a"), LIMITS, nothing=1), "nothing"),
        (lambda: rd.wrap(openai.OpenAI(api_key="a"), rd.Gate(LIMITS), retry=None), "Gate has"),
    ],
)
def test_mistakes_are_told(call: Callable[[], object], message: str) -> None:
    """In one sentence, before anything is sent."""
    with pytest.raises(TypeError, match=message):
        call()


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--rpm", "30000", "--latency", "0.001") as child:
        yield child


@pytest.mark.parametrize("is_aio", [False, *AIO])
def test_real_http_with_either_transport(server: FakeServerProcess, is_aio: bool) -> None:
    """The SDK's own http client and its aiohttp one, each in two event loops."""
    server.reset()

    async def main() -> int:
        http = openai.DefaultAioHttpClient() if is_aio else None
        plain = openai.AsyncOpenAI(base_url=server.base_url, api_key="any", http_client=http)
        async with rd.wrap(plain, paces) as client:
            calls = [client.chat.completions.create(**ASK) for _ in range(20)]
            return len(await asyncio.gather(*calls))

    paces = rd.Gate(rd.Limits(requests_per_minute=30_000))
    assert asyncio.run(main()) + asyncio.run(main()) == 40
    assert server.stats()["refused"] == {}
    assert paces.snapshot().in_flight == 0


def test_http_clients_for_frameworks(server: FakeServerProcess) -> None:
    """They are given to an unwrapped client of the SDK."""
    http = rd.http_client(LIMITS)
    with openai.OpenAI(base_url=server.base_url, api_key="any", http_client=http) as client:
        assert client.chat.completions.create(**ASK).choices
    (found,) = gates_of(client._client)
    assert found.snapshot().levels[0].spent == 1
