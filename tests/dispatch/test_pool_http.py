"""A pool of real clients of the SDK, and real HTTP: keys with limits of their own."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import openai
import pytest

import ratedispatch as rd
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Iterator

REVOKED, LIVING = "sk-revoked-0123456789", "sk-living-0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    """Two keys, of which one is not accepted."""
    flags = [f"--key={REVOKED}=6000:none,revoked-at=0", f"--key={LIVING}=6000:none"]
    with FakeServerProcess(*flags, "--latency", "0.01", "--latency-sigma", "0") as server:
        yield server


def pool_at(server: FakeServerProcess) -> rd.Pool:
    """A client with each key."""
    clients = {
        name: openai.AsyncOpenAI(base_url=server.base_url, api_key=key)
        for name, key in (("revoked", REVOKED), ("living", LIVING))
    }
    limits = rd.Limits(requests_per_minute=6_000)
    return rd.Pool(rd.Member(client, limits, name) for name, client in clients.items())


def test_a_script_sends_by_a_pool(server: FakeServerProcess) -> None:
    """Warm, whole, many and in events; every connection is closed at the end."""
    server.reset()
    pool = pool_at(server)
    events: Counter[tuple[str, str]] = Counter()

    def listen(event: rd.Event) -> None:
        if isinstance(event, rd.AttemptEnded):
            events[event.route, event.decision.value] += 1

    with rd.SyncDispatcher(pool, listeners=[listen]) as dispatcher:
        dispatcher.warm_up("gpt-4o", connections=2)
        one = dispatcher.submit(chat("one"))
        assert isinstance(one, rd.Completed)
        assert one.route == "living"
        assert {outcome.text for outcome in dispatcher.map([chat(n) for n in range(5)])}
        with dispatcher.stream(chat("parts"), session="x") as parts:
            assert sum(1 for _ in parts) > 1
    assert events == {("revoked", "stop"): 1, ("living", "answered"): 7}
    assert server.stats()["answered_twice"] == 0
    assert all(member.client.is_closed() for member in pool)


def test_a_member_that_is_not_there_is_left_alone(server: FakeServerProcess) -> None:
    """Its connection is refused; the first request of all is answered by the other one."""
    server.reset()
    outcomes = asyncio.run(_send_beside_nowhere(server))
    assert {one.route for one in outcomes if isinstance(one, rd.Completed)} == {"living"}
    assert len(outcomes) == 20


async def _send_beside_nowhere(server: FakeServerProcess) -> list[rd.Outcome]:
    nowhere = openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="any")
    living = openai.AsyncOpenAI(base_url=server.base_url, api_key=LIVING)
    limits = rd.Limits(requests_per_minute=6_000)
    pool = rd.Pool([rd.Member(nowhere, limits, "nowhere"), rd.Member(living, limits, "living")])
    try:
        async with rd.Dispatcher(pool) as dispatcher:
            return [one async for one in dispatcher.map(chat(n) for n in range(20))]
    finally:
        await pool.close()
