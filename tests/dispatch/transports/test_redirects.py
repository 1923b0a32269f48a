"""Where a request may be led, and where not."""

from __future__ import annotations

import asyncio

import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.redirects import destination
from ratedispatch.errors import TransportError
from ratedispatch.outcome import Decision
from ratedispatch.providers.registry import PROVIDERS
from ratedispatch.request import CHAT
from tests.dispatch.transports.wire import (
    KEY,
    OK,
    Scripted,
    answer,
    chat,
    exchange,
    over,
    transport,
)

URL = "http://host:8080/v1/chat/completions"


@pytest.mark.parametrize(
    ("url", "status", "location", "address", "is_followed"),
    [
        (URL, 307, "/v2/x", "http://host:8080/v2/x", True),
        (URL, 308, "http://HOST:8080/v2/x", "http://host:8080/v2/x", True),
        (URL, 307, "x?a=b", "http://host:8080/v1/chat/x?a=b", True),
        ("http://host/v1", 308, "https://host/v1", "https://host/v1", True),
        ("http://host/v1", 307, "https://host:443/v1", "https://host:443/v1", True),
        ("https://host/v1", 308, "https://host:443/v2", "https://host:443/v2", True),
        # a GET of it would be no request, and its answer no answer
        *((URL, status, "/v2/x", "http://host:8080/v2/x", False) for status in (301, 302, 303)),
        # prompts and key in clear, or to somebody else
        ("https://host/v1", 308, "http://host/v1", "http://host/v1", False),
        (URL, 307, "http://other:8080/v1", "http://other:8080/v1", False),
        (URL, 307, "http://host:8081/v1", "http://host:8081/v1", False),
        (URL, 307, "https://host:8443/v1", "https://host:8443/v1", False),
        (URL, 307, "//other/v1", "http://other/v1", False),
        (URL, 307, "https://me:secret@other/v1", "https://other/v1", False),
        (URL, 307, "http://host:8080@other/v1", "http://other/v1", False),
        (URL, 307, "file:///etc/passwd", "file:///etc/passwd", False),
        ("http://[::1]:80/v1", 307, "http://[::1]/v2", "http://[::1]/v2", True),
        # what is no address is told as it is, but for what a terminal should not get
        (URL, 307, "http://[", "http://[", False),
        (URL, 307, "http://host:x/", "http://host:x/", False),
        (URL, 301, "/\x1b[2J\u00e4", "http://host:8080/%1B[2J%C3%A4", False),
    ],
)
def test_where_a_redirect_leads(
    url: str, status: int, location: str, address: str, is_followed: bool
) -> None:
    """The same request to the same server, or nowhere."""
    assert destination(url, status, location) == (address, is_followed)


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
def test_one_to_the_same_server_is_followed_with_its_body(kind: str, status: str) -> None:
    """As often as httpx follows one."""
    moved = answer(b"", "Location: /v2/there", status=status)
    response, seen = over(kind, *[moved] * 12, OK)
    assert response.body == {"ok": True}
    assert [one.target for one in seen[1:]] == ["/v2/there"] * 12
    assert seen[0].body == seen[-1].body
    assert seen[-1].headers["authorization"] == f"Bearer {KEY}"
    assert seen[-1].headers["content-type"] == "application/json"


def test_one_that_comes_later_is_followed(kind: str) -> None:
    """Each request begins at the base URL again."""
    moved = answer(b"", "Location: /v2/there", status="307 Temporary Redirect")
    answers = [OK, OK, moved, answer(b'{"moved": 1}'), moved, answer(b'{"moved": 2}')]
    response, seen = over(kind, *answers, times=4)
    assert response.body == {"moved": 2}
    own = "/v1/chat/completions"
    assert [one.target for one in seen] == [own, own, own, "/v2/there", own, "/v2/there"]
    assert len({one.body for one in seen}) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_one_to_elsewhere_gets_nothing_and_is_named(kind: str, status: int) -> None:
    """Neither the prompts nor the key."""

    async def main() -> tuple[rd.Response, str, int]:
        async with Scripted([OK]) as other:
            target = f"http://127.0.0.1:{other.port}/v2/chat/completions"
            moved = answer(b"", f"Location: {target}?a=b", status=f"{status} Moved")
            async with Scripted([moved]) as first:
                return await exchange(kind, first.url, chat(), 5), target, len(other.seen)

    response, target, asked = asyncio.run(main())
    assert asked == 0
    assert (response.status, response.headers["location"]) == (status, f"{target}?a=b")
    found = PROVIDERS["generic"].interpret(response, CHAT)
    assert (found.decision, found.code) == (Decision.STOP, "redirected")
    base = target.removesuffix("/chat/completions")
    assert found.message == (
        f"the server redirects (status {status}) to {target}; if that is intended, give {base} "
        f"as the base URL"
    )


def test_a_get_is_never_made_of_a_post(kind: str) -> None:
    """Not on the same server either."""
    response, seen = over(kind, answer(b"", "Location: /login", status="302 Found"), OK)
    assert len(seen) == 1
    found = PROVIDERS["generic"].interpret(response, CHAT)
    assert found.decision is Decision.STOP
    assert found.message.startswith("the server redirects (status 302) to http://127.0.0.1:")
    assert found.message.endswith("/login")


def test_a_circle_ends(kind: str) -> None:
    """And somebody was there."""
    moved = answer(b"", "Location: /v1/again", status="307 Temporary Redirect")
    with pytest.raises(TransportError, match="too many times") as caught:
        over(kind, moved)
    assert caught.value.reached


def test_a_job_stops_before_its_second_row(kind: str) -> None:
    """No row is at fault."""

    async def main() -> tuple[str, int]:
        moved = answer(b"", "Location: http://127.0.0.1:9/v1", status="301 Moved Permanently")
        async with (
            Scripted([moved]) as server,
            transport(kind, server.url) as one,
            rd.Dispatcher(one, rd.Limits(600), max_in_flight=1) as dispatcher,
        ):
            with pytest.raises(rd.Stopped) as caught:
                async for _ in dispatcher.map(chat(str(row)) for row in range(9)):
                    pass
            return caught.value.code, len(server.seen)

    assert asyncio.run(main()) == ("redirected", 1)
