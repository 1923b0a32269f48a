"""A wrapped client in an event loop of trio."""

from __future__ import annotations

import openai
import pytest
import trio

import ratedispatch as rd
from tests.dispatch.wrap.upstream import ASK, Upstream, async_client


class _Quick(Upstream):
    async def in_time(self, request):  # type: ignore[no-untyped-def]
        """Answer without a loop of asyncio."""
        self.seen.append(request)
        return self._next(request)


@pytest.mark.skipif(
    not hasattr(openai, "DefaultAioHttpClient"), reason="early versions of the SDK want asyncio"
)
def test_calls_are_paced_in_trio() -> None:
    """They wait, are bounded, and are cancelled; nothing is left behind."""
    upstream = _Quick()
    quick = rd.wrap(async_client(upstream), rd.Limits(requests_per_minute=6_000, burst_seconds=0))
    slow = rd.Gate(rd.Limits(requests_per_minute=1))
    spent = rd.wrap(async_client(upstream), slow)

    async def ask(client: openai.AsyncOpenAI) -> None:
        await client.chat.completions.create(**ASK)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask, quick)
        await ask(spent)
        with rd.options(max_wait=0.001), pytest.raises(openai.OpenAIError, match="cannot be sent"):
            await ask(spent)
        with trio.move_on_after(0.001) as scope:
            await ask(spent)
        assert scope.cancelled_caught

    trio.run(main)
    state = slow.snapshot()
    assert (state.in_flight, state.waiting) == (0, 0)
    assert len(upstream.seen) == 6
