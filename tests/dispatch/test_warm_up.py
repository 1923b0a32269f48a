"""What is done before the first request, so that it need not wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.bulk import bulk_for
from ratedispatch.dispatch.transports.sdk import make_client
from ratedispatch.tokens import Counter
from tests.dispatch.scripted import FAST, OK, Scripted
from tests.dispatch.transports import wire
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GROUPS = rd.LimitGroups((rd.LimitGroup("one", ("gpt-4o",), FAST),))

#: What a server says to a HEAD of its base URL.
NOT_FOUND = wire.answer(b"", status="404 Not Found")


class Loading(Counter):
    """A counter that keeps what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def load(self, model: str, endpoint: str = "/v1/chat/completions") -> Any:
        self.loaded.append(model)
        return super().load(model, endpoint)


@contextlib.asynccontextmanager
async def sender(kind: str, url: str) -> AsyncIterator[Any]:
    if kind == "sdk":
        async with openai.AsyncOpenAI(base_url=url, api_key=wire.KEY) as client:
            yield client
        return
    async with make_client(base_url=url, api_key=wire.KEY, max_connections=9) as client:
        if kind == "sdk on aiohttp":
            yield client
            return
        async with bulk_for(client, 9) or contextlib.nullcontext() as bulk:
            assert bulk is not None
            yield bulk


@pytest.mark.parametrize("kind", ["sdk", "sdk on aiohttp", "bulk"])
def test_the_first_requests_find_connections_and_vocabulary(kind: str) -> None:
    """Nothing is loaded and nothing opened for them, and no key went before."""
    answer = wire.answer(b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}')
    answers = [answer] if kind == "bulk" else [*[NOT_FOUND] * 3, answer]

    async def main() -> None:
        counter = Loading()
        async with (
            wire.Scripted(answers) as server,
            sender(kind, server.url) as client,
            rd.Dispatcher(client, FAST, counter=counter) as dispatcher,
        ):
            assert dispatcher.estimator.estimate_now(chat(1)) is None
            await dispatcher.warm_up("gpt-4o", connections=3)
            assert (server.opened, counter.loaded) == (3, ["gpt-4o"])
            assert all("authorization" not in seen.headers for seen in server.seen)
            assert dispatcher.estimator.estimate_now(chat(1)) is not None
            outcomes = await asyncio.gather(*[dispatcher.submit(chat(n)) for n in range(3)])
            assert all(isinstance(outcome, rd.Completed) for outcome in outcomes)
            assert (server.opened, counter.loaded) == (3, ["gpt-4o"])
            await dispatcher.warm_up("gpt-4o", connections=0)
            assert (server.opened, counter.loaded) == (3, ["gpt-4o"])

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["sdk", "sdk on aiohttp", "bulk"])
def test_a_server_that_is_not_there_is_left_to_the_first_request(kind: str) -> None:
    async def main() -> None:
        async with wire.Scripted([b""]) as server:
            url = server.url
        async with sender(kind, url) as client, rd.Dispatcher(client, FAST) as dispatcher:
            await dispatcher.warm_up("gpt-4o")
            assert dispatcher.estimator.estimate_now(chat(1)) is not None  # that is at hand
            outcome = await dispatcher.submit(chat(1), deadline=0.2)
            assert isinstance(outcome, rd.Failed)  # and the address is this one's to tell

    asyncio.run(main())


def test_what_cannot_be_warmed_up_is_said() -> None:
    async def main() -> None:
        async with rd.Dispatcher(Scripted(lambda *_: OK), GROUPS) as dispatcher:
            await dispatcher.warm_up("gpt-4o", connections=5)  # a transport without connections
            with pytest.raises(rd.InvalidLimits, match="no limits for models"):
                await dispatcher.warm_up("unknown")
            with pytest.raises(ValueError, match="must not be negative, not -1"):
                await dispatcher.warm_up(connections=-1)

    asyncio.run(main())


def test_without_an_event_loop() -> None:
    counter = Loading()
    with rd.SyncDispatcher(Scripted(lambda *_: OK), FAST, counter=counter) as dispatcher:
        dispatcher.warm_up("gpt-4o")
    assert counter.loaded == ["gpt-4o"]
