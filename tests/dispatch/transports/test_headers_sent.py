"""The headers of one request, over every transport."""

from __future__ import annotations

import asyncio
from typing import Any

import openai

from ratedispatch.dispatch.transports.sdk import SdkTransport
from tests.dispatch.transports.wire import KEY, KEY_FUNCTIONS, OK, Scripted, chat, over

OWN = {"X-Tenant": "blue", "authorization": "Bearer sk-other", "user-agent": "mine"}


def test_headers_of_a_request_take_the_place_of_the_clients(kind: str) -> None:
    """Whatever the case they are written in; the next request has the client's again."""

    async def main() -> list[Any]:
        from tests.dispatch.transports.wire import transport

        async with Scripted([OK]) as server, transport(kind, server.url) as one:
            await one.send(chat(), 5)
            await one.send(chat(headers=OWN), 5)
            await one.send(chat(), 5)
            return server.seen

    plain, own, again = asyncio.run(main())
    assert {name: own.headers[name.lower()] for name in OWN} == OWN
    assert own.headers["x-client-request-id"] == "c-1"
    assert plain.headers["authorization"] == again.headers["authorization"] == f"Bearer {KEY}"
    assert plain.headers["user-agent"] == again.headers["user-agent"] != "mine"
    assert "x-tenant" not in again.headers
    assert own.headers["content-type"] == plain.headers["content-type"] == "application/json"


def test_a_name_of_its_own_replaces_the_one_that_is_made(kind: str) -> None:
    _, (seen,) = over(kind, request=chat(headers={"x-client-request-id": "mine"}))
    assert seen.headers["x-client-request-id"] == "mine"


@KEY_FUNCTIONS
def test_a_request_can_have_a_key_of_its_own_where_the_clients_is_asked_for(kind: str) -> None:
    async def key() -> str:
        return "sk-asked"

    _, (seen,) = over(kind, request=chat(headers={"AUTHORIZATION": "Bearer mine"}), api_key=key)
    assert seen.headers["authorization"] == "Bearer mine"


def test_azure_takes_them_too() -> None:
    async def main() -> dict[str, str]:
        async with Scripted([OK]) as server:
            url = server.url.removesuffix("/v1")
            client = openai.AsyncAzureOpenAI(
                azure_endpoint=url, api_key=KEY, api_version="2024-10-21"
            )
            async with client:
                await SdkTransport(client).send(chat(headers={"API-KEY": "other"}), 5)
            return server.seen[0].headers

    assert asyncio.run(main())["api-key"] == "other"
