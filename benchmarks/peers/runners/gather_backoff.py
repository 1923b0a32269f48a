"""``asyncio.gather`` with ``backoff`` around each call, as OpenAI's guide on rate limits has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import backoff
import openai

if TYPE_CHECKING:
    from collections.abc import Callable


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Ask for all rows at once, each again and again for as long as it is refused."""
    return asyncio.run(_send(rows, job, keep))


async def _send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    client = openai.AsyncOpenAI(base_url=job["base_url"])
    bound = asyncio.Semaphore(job["in_flight"])

    @backoff.on_exception(backoff.expo, openai.RateLimitError)
    async def completions_with_backoff(body: dict[str, Any]) -> Any:
        return await client.chat.completions.create(**body)

    async def answer(row: dict[str, Any]) -> None:
        async with bound:
            completion = await completions_with_backoff(row["body"])
        keep(row["custom_id"], completion.choices[0].message.content)

    ended = await asyncio.gather(*(answer(row) for row in rows), return_exceptions=True)
    return [type(error).__name__ for error in ended if isinstance(error, BaseException)]
