"""An http client without a base URL: the account of a request is the one that it is sent with."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.http_library import http as httpx
from ratedispatch.dispatch.wrap.paced_http import gate_of, gates_of
from ratedispatch.testing import run_virtual
from tests.dispatch.wrap.upstream import ASK, Upstream, async_client, sync_client
from tests.sdk_features import needs_newer_sdk

LIMITS = rd.Limits(requests_per_minute=60_000)
AZURE: Any = {"azure_endpoint": "http://azure.test", "api_version": "2024-06-01"}


def http(upstream: Upstream) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(upstream))


@needs_newer_sdk
def test_each_account_of_one_http_client_has_its_own_limits() -> None:
    """Another host, path or key is another account; a copy and another time-out are not."""
    upstream = Upstream()
    paced = rd.http_client(LIMITS, http(upstream))
    first = openai.OpenAI(api_key="a", http_client=paced)
    others = [
        first.with_options(timeout=3),
        openai.OpenAI(api_key="b", http_client=paced),
        openai.OpenAI(api_key="a", base_url="http://other.test/v1", http_client=paced),
        openai.OpenAI(api_key="a", base_url="http://other.test/team/v1", http_client=paced),
    ]
    for client in (first, *others):
        client.chat.completions.create(**ASK)
        client.responses.create(model="gpt-4o", input="prime", max_output_tokens=20)
    assert [gate.snapshot().levels[0].spent for gate in gates_of(paced)] == [4, 2, 2, 2]
    names = [gate.provider.name for gate in gates_of(paced)]
    assert names == ["openai", "openai", "generic", "generic"]


@pytest.mark.parametrize(
    "make",
    [
        lambda http: openai.OpenAI(api_key="shared", http_client=http),
        lambda http: openai.OpenAI(api_key="shared", base_url="http://x.test/v1", http_client=http),
        lambda http: openai.AzureOpenAI(
            api_key="shared", azure_deployment="mine", http_client=http, **AZURE
        ),
        lambda http: openai.AzureOpenAI(
            azure_ad_token="shared", azure_deployment="mine", http_client=http, **AZURE
        ),
    ],
)
def test_it_shares_the_limits_of_a_wrapped_client(make: Any) -> None:
    """One account, one way or the other."""
    upstream = Upstream()
    wrapped = rd.wrap(make(http(upstream)), LIMITS)
    paced = rd.http_client(LIMITS, http(upstream))
    make(paced).chat.completions.create(**ASK)
    assert gates_of(paced) == (gate_of(wrapped._client),)


def test_deployments_are_accounts_of_an_http_client_but_not_of_one_wrapped_client() -> None:
    """A client of Azure without a deployment of its own has one base URL for all of them."""
    upstream = Upstream()
    paced = rd.http_client(LIMITS, http(upstream))
    plain = openai.AzureOpenAI(api_key="a", http_client=http(upstream), **AZURE)
    wrapped = rd.wrap(plain, LIMITS)
    for client in (openai.AzureOpenAI(api_key="a", http_client=paced, **AZURE), wrapped):
        for model in ("one", "other"):
            client.chat.completions.create(**{**ASK, "model": model})
    shared = gate_of(wrapped._client)
    assert shared is not None
    assert [gate.snapshot().levels[0].spent for gate in gates_of(paced)] == [1, 1]
    assert shared.snapshot().levels[0].spent == 2


def test_blocking_and_asynchronous_ones_share_an_account() -> None:
    """As a framework uses them, which takes one of each."""
    upstream = Upstream()
    blocking, waiting = sync_client(upstream), async_client(upstream)
    one, two = (
        rd.http_client(LIMITS, blocking._client),
        rd.async_http_client(LIMITS, waiting._client),
    )
    blocking.with_options(http_client=one).chat.completions.create(**ASK)

    async def main() -> None:
        await waiting.with_options(http_client=two).chat.completions.create(**ASK)

    run_virtual(main())
    assert gates_of(one) == gates_of(two)


def test_what_is_not_limited_has_no_account() -> None:
    """Files and models pass, and begin nothing."""
    upstream = Upstream((200, {"object": "list", "data": []}), (200, {"id": "file-1"}))
    paced = rd.http_client(LIMITS, http(upstream))
    client = openai.OpenAI(api_key="a", http_client=paced)
    assert client.models.list().data == []
    client.post("/uploads", cast_to=object, body={"bytes": 3})
    assert gates_of(paced) == ()


def test_keys_that_are_renewed_do_not_pile_up() -> None:
    """The gates of the last sixty-four are kept, and no key is."""
    upstream = Upstream()
    paced = rd.http_client(LIMITS, http(upstream))
    for number in range(70):
        key = f"secret-{number}"
        openai.OpenAI(api_key=key, http_client=paced).chat.completions.create(**ASK)
    assert len(gates_of(paced)) == 64
    pacer, _ = type(paced)._ratedispatch_pacing
    assert "secret" not in repr(vars(pacer))


def test_mistakes_are_told_before_anything_is_sent() -> None:
    """Not with the first request."""
    with pytest.raises(TypeError, match="expected Limits"):
        rd.http_client(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="nothing"):
        rd.async_http_client(LIMITS, nothing=1)
