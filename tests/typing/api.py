"""The public API as a type checker sees it. Checked by mypy, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import ratedispatch as rd

if TYPE_CHECKING:
    from openai import AsyncOpenAI


async def use(client: AsyncOpenAI) -> None:
    limits = rd.Limits(requests_per_minute=10_000, tokens_per_minute=2_000_000)
    request = rd.Request.chat(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    async with rd.Dispatcher(client, limits, listeners=[print]) as dispatcher:
        outcome = await dispatcher.submit(request)
        assert_type(outcome, rd.Completed | rd.Failed)
        async for each in dispatcher.map([request]):
            assert_type(each, rd.Completed | rd.Failed)
        assert_type(dispatcher.snapshot(), rd.Snapshot)
    report = await rd.run_file("in.jsonl", "out.jsonl", client=client, limits=limits)
    assert_type(report, rd.Report)
    assert_type(rd.count_tokens({"model": "gpt-4o"}, endpoint="/v1/chat/completions"), int)
