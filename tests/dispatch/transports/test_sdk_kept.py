"""Clients that only the SDK can serve keep it; all others get a transport of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import openai
import pytest

from ratedispatch.dispatch.transports.bulk import BulkTransport, bulk_for
from ratedispatch.dispatch.transports.http_library import http
from ratedispatch.dispatch.transports.read_client import unsupported_reason
from ratedispatch.dispatch.transports.sdk import make_client
from tests.dispatch.transports.wire import (
    KEY,
    KEY_FUNCTIONS,
)

if TYPE_CHECKING:
    from collections.abc import Callable


async def _hook(_: object) -> None:
    """Would be called with each request."""


class Mine(openai.AsyncOpenAI):
    """A client that somebody has changed."""


def hooked() -> openai.AsyncOpenAI:
    client = openai.AsyncOpenAI(api_key=KEY)
    client._client.event_hooks = {"request": [_hook]}
    return client


def with_http(client: http.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=KEY, http_client=client)


def without_key() -> openai.AsyncOpenAI:
    client = openai.AsyncOpenAI(api_key=KEY)
    client.api_key = ""
    return client


def unknown() -> openai.AsyncOpenAI:
    client = openai.AsyncOpenAI(api_key=KEY)
    del client._api_key_provider
    return client


def azure() -> openai.AsyncOpenAI:
    return openai.AsyncAzureOpenAI(
        api_key=KEY, azure_endpoint="https://host.invalid", api_version="2024-10-21"
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (azure, "AsyncAzureOpenAI"),
        (lambda: Mine(api_key=KEY), "Mine"),
        (hooked, "hooks"),
        (lambda: with_http(http.AsyncClient()), "http_client"),
        (lambda: with_http(openai.DefaultAsyncHttpxClient(verify=False)), "http_client"),
        (lambda: openai.AsyncOpenAI(api_key=KEY, base_url="http://a:b@host/v1"), "password"),
        (lambda: openai.AsyncOpenAI(api_key=KEY, base_url="http://host/v1?a=b"), "query"),
        (lambda: openai.AsyncOpenAI(api_key="sk-\u2014"), "character"),
        (lambda: openai.AsyncOpenAI(api_key=KEY, default_headers={"a": "b\r\nc"}), "character"),
        (without_key, "no API key"),
        pytest.param(unknown, "version", marks=KEY_FUNCTIONS),
    ],
)
def test_a_client_with_ways_of_its_own_keeps_the_sdk(
    make: Callable[[], openai.AsyncOpenAI], reason: str
) -> None:
    """Rather than a request without what the client does to it."""

    async def main() -> None:
        async with make() as client:
            assert bulk_for(client, 9) is None
            with pytest.raises(TypeError, match=reason) as caught:
                BulkTransport(client, connections=9)
            assert KEY not in str(caught.value)

    asyncio.run(main())


def test_tokens_that_the_sdk_gets_keep_the_sdk() -> None:
    """A workload's identity is exchanged for tokens, on the way."""

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key=KEY) as client:
            client.workload_identity = {}  # type: ignore[assignment]
            assert bulk_for(client, 9) is None

    asyncio.run(main())


@pytest.mark.parametrize("proxy", ["http://me:secret@127.0.0.1:9", "https://127.0.0.1:9"])
def test_a_proxy_that_is_more_than_a_place_keeps_the_sdk(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a password, or over TLS."""
    monkeypatch.setenv("HTTP_PROXY", proxy)

    async def main() -> None:
        client = make_client(base_url="http://host.invalid/v1", api_key=KEY, max_connections=1)
        async with client:
            assert "proxy" in (unsupported_reason(client) or "")

    asyncio.run(main())


def test_a_plain_client_has_one() -> None:
    """Made by hand or by `make_client`, or a copy of it."""

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key=KEY) as client:
            assert bulk_for(client, 9) is not None
            assert bulk_for(client.with_options(timeout=3), 9) is not None
            with pytest.raises(ValueError, match="at least 1"):
                BulkTransport(client, connections=0)

    asyncio.run(main())
