"""What every transport sends: body, address, headers and key."""

from __future__ import annotations

import asyncio
import datetime
import json
import warnings
from typing import Any

import pydantic
import pytest
from openai._types import Omit  # in every version

import ratedispatch as rd
from ratedispatch.dispatch.transports.bulk import BulkTransport
from ratedispatch.dispatch.transports.http_library import http
from ratedispatch.errors import AttemptTimeout
from ratedispatch.request import ENDPOINTS
from tests.dispatch.transports.wire import (
    KEY,
    KEY_FUNCTIONS,
    OK,
    Scripted,
    Seen,
    answer,
    chat,
    exchange,
    over,
    send,
    transport,
)


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_every_endpoint_is_answered(kind: str, endpoint: str) -> None:
    """Where a Batch file can point to."""
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
        "/v1/responses": {"input": "hi"},
        "/v1/embeddings": {"input": "hi"},
        "/v1/completions": {"prompt": "hi"},
        "/v1/moderations": {"input": "hi"},
    }
    response, _ = send(kind, rd.Request({"model": "m", **bodies[endpoint]}, endpoint))
    assert (response.status, response.is_json) == (200, True)


class Point(pydantic.BaseModel):
    x: int = 0
    y: int = 0


def test_a_body_is_written_as_the_sdk_writes_it(kind: str) -> None:
    """Byte for byte: UTF-8, no spaces, keys in their order, whole numbers of any length."""
    more = {
        "number": 10**25,
        "share": 0.1,
        "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "point": Point(x=1),
    }
    _, (seen,) = over(kind, request=rd.Request({"text": "n\u00e4h \U0001f600 \u2028", **more}))
    assert seen.body.decode() == (
        '{"text":"n\u00e4h \U0001f600 \u2028","number":10000000000000000000000000,"share":0.1,'
        '"when":"2026-01-02T00:00:00+00:00","point":{"x":1}}'
    )


def test_half_of_a_surrogate_pair_is_sent_as_a_replacement(kind: str) -> None:
    """It has no UTF-8; the rest of the text arrives."""
    _, (seen,) = over(kind, request=rd.Request({"a": "half \ud800 pair", "b": "\U0001f600"}))
    assert json.loads(seen.body) == {"a": "half \ufffd pair", "b": "\U0001f600"}


def test_such_a_request_can_be_refused(kind: str) -> None:
    """It is a response like any other."""
    refusal = answer(b'{"error": 1}', status="400 Bad Request")
    response, _ = over(kind, refusal, request=rd.Request({"a": "\ud800"}))
    assert (response.status, response.body) == (400, {"error": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_is_no_json_is_not_sent(kind: str, value: object) -> None:
    """It raises what `json.dumps` raises: the request's own fault, not the connection's."""
    with pytest.raises((ValueError, TypeError), match="JSON"):
        over(kind, request=rd.Request({"a": value}))


def test_a_large_body_arrives(kind: str) -> None:
    """3 MB, as with an image."""
    with warnings.catch_warnings():
        if kind == "sdk":
            warnings.simplefilter("ignore", ResourceWarning)  # aiohttp's advice to the SDK
        _, (seen,) = over(kind, request=chat("x" * 3_000_000))
    assert len(seen.body) > 3_000_000


@pytest.mark.parametrize(
    ("path", "endpoint", "target"),
    [
        ("/v1", "/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions", "/v1/chat/completions"),
        ("/a%20b/c", "/v1/embeddings", "/a%20b/c/embeddings"),
        ("", "/v1/responses", "/responses"),
        ("/v1", "/v1/engines/a%2Fb/embeddings", "/v1/engines/a%2Fb/embeddings"),
        ("/v1", "/v1/chat/completions?a=b", "/v1/chat/completions?a=b"),
    ],
)
def test_an_endpoint_lies_below_the_base_url(
    kind: str, path: str, endpoint: str, target: str
) -> None:
    """With and without a slash, and below a path of the provider's."""
    _, seen = over(kind, request=rd.Request({}, endpoint), path=path, times=2)
    assert [one.target for one in seen] == [target, target]


def test_an_endpoint_that_is_a_url_goes_there(kind: str) -> None:
    """As in the SDK."""

    async def main() -> list[Seen]:
        async with Scripted([OK]) as server:
            request = rd.Request({}, f"http://127.0.0.1:{server.port}/elsewhere")
            await exchange(kind, "http://host.invalid/v1", request, 5)
            return server.seen

    assert [one.target for one in asyncio.run(main())] == ["/elsewhere"]


def test_the_query_of_the_client_is_sent(kind: str) -> None:
    """Nested and repeated as the SDK writes them, over what the endpoint has."""
    query = {"api-version": "2024 x", "list": ["a", "b"], "map": {"k": "v"}}
    request = rd.Request({}, "/v1/embeddings?own=1&api-version=old")
    _, (seen,) = over(kind, request=request, default_query=query)
    assert sorted(http.URL(seen.target).params.multi_items()) == [
        ("api-version", "2024 x"),
        ("list[]", "a"),
        ("list[]", "b"),
        ("map[k]", "v"),
        ("own", "1"),
    ]


def test_the_headers_of_the_client_are_sent(kind: str) -> None:
    """Its own, the organization's and the project's, and those of JSON."""
    _, (seen,) = over(kind, default_headers={"X-Own": "1"}, organization="org-1", project="proj-1")
    wanted = {
        "authorization": f"Bearer {KEY}",
        "accept": "application/json",
        "content-type": "application/json",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
        "x-own": "1",
        "x-client-request-id": "c-1",
    }
    assert {name: seen.headers.get(name) for name in wanted} == wanted


def test_headers_of_the_client_replace_and_remove(kind: str) -> None:
    """Names in any case; ``Omit`` takes one away."""
    headers = {"authorization": "Token t", "user-agent": "mine/1", "OpenAI-Project": Omit()}
    _, (seen,) = over(kind, default_headers=headers, organization="org-1", project="proj-1")
    assert seen.headers["authorization"] == "Token t"
    assert seen.headers["user-agent"] == "mine/1"
    assert "openai-project" not in seen.headers


def test_who_sends_is_named() -> None:
    """And the SDK is not, which sends nothing here."""
    _, (seen,) = over("bulk")
    assert seen.headers["user-agent"].startswith("ratedispatch/")
    assert not any(name.startswith("x-stainless") for name in seen.headers)


@pytest.mark.parametrize("name", [None, "", "n\u00e4me", "a" * 513, "a\nb"])
def test_a_name_that_no_header_can_hold_is_left_out(kind: str, name: str | None) -> None:
    """OpenAI would refuse it."""
    _, (seen,) = over(kind, request=chat(name=name))
    assert "x-client-request-id" not in seen.headers


@KEY_FUNCTIONS
def test_a_key_that_is_a_function_is_asked_each_time(kind: str) -> None:
    """A token that is about to expire is replaced in the middle of a job."""
    keys = iter(["first", "second"])

    async def key() -> str:
        return next(keys)

    _, seen = over(kind, times=2, api_key=key)
    assert [one.headers["authorization"] for one in seen] == ["Bearer first", "Bearer second"]


@KEY_FUNCTIONS
def test_a_key_that_cannot_be_had_is_no_fault_of_the_connection(kind: str) -> None:
    """What the function raises comes through; no key at all is never sent."""

    async def broken() -> str:
        raise LookupError("vault is sealed")

    async def empty() -> str:
        return ""

    async def odd() -> str:
        return "sk-\u2014"

    with pytest.raises(LookupError, match="sealed"):
        over(kind, api_key=broken)
    if http.__name__ == "httpx2" or not kind.startswith("sdk"):  # before 3 the SDK sends without
        with pytest.raises(TypeError):
            over(kind, api_key=empty)
    with pytest.raises(ValueError):  # noqa: PT011  (the SDK's text is its own)
        over(kind, api_key=odd)


@KEY_FUNCTIONS
def test_a_key_that_takes_too_long_is_a_timeout(kind: str) -> None:
    """It is part of the attempt."""

    async def slow() -> str:
        await asyncio.sleep(60)
        return "never"

    async def main() -> None:
        async with transport(kind, "http://127.0.0.1:9/v1", api_key=slow) as one:
            await one.send(chat(), 0.05)

    with pytest.raises(AttemptTimeout):
        asyncio.run(main())


def test_a_direct_request_is_like_the_first(kind: str) -> None:
    """The same line, headers and body, however often it is sent."""
    key = "sk-" + "k" * 20
    _, seen = over(kind, times=3, api_key=key, default_headers={"X-Own": "1"})
    assert seen[0] == seen[1] == seen[2]


def test_an_interim_answer_is_passed_over(kind: str) -> None:
    """The one that counts comes after it."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    response, _ = over(kind, hints + OK, times=2)
    assert (response.status, response.body) == (200, {"ok": True})


def test_another_version_of_aiohttp_sends_through_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is used beyond aiohttp's public names is not used of a version that is not known."""
    monkeypatch.setattr("aiohttp.__version__", "3.99.0")

    async def main() -> tuple[rd.Response, dict[str, Any]]:
        async with Scripted([OK]) as server, transport("bulk", server.url) as one:
            assert isinstance(one, BulkTransport)
            await one.send(chat(), 5)
            return await one.send(chat(), 5), dict(one._direct)

    response, direct = asyncio.run(main())
    assert response.body == {"ok": True}
    assert not direct
