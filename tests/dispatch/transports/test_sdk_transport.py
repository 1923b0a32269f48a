"""The real SDK as a user has it; what every transport owes is in ``test_transports.py``."""

from __future__ import annotations

import asyncio

import openai

import ratedispatch as rd
from ratedispatch.simulate.server.server import FakeServer
from ratedispatch.simulate.settings import ProviderSettings


def chat(text: str = "hi") -> rd.Request:
    return rd.Request.chat(
        model="gpt-4o", messages=[{"role": "user", "content": text}], max_tokens=5, custom_id="c-1"
    )


def test_the_dispatcher_over_a_users_own_client() -> None:
    """submit and map, with what a user has: a plain AsyncOpenAI."""

    async def main() -> None:
        server = FakeServer(ProviderSettings(latency=0.01))
        url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-1") as client:
            limits = rd.Limits(requests_per_minute=60_000, tokens_per_minute=10_000_000)
            async with rd.Dispatcher(client, limits) as dispatcher:
                outcome = await dispatcher.submit(chat())
                assert isinstance(outcome, rd.Completed)
                outcomes = [o async for o in dispatcher.map(chat(str(i)) for i in range(20))]
                assert all(isinstance(o, rd.Completed) for o in outcomes)
                assert len(outcomes) == 20
        await server.stop()

    asyncio.run(main())
