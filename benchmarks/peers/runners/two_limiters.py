"""``asyncio.gather`` behind two ``AsyncLimiter``s, waited for in turn, over the SDK as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai
import tiktoken
from aiolimiter import AsyncLimiter

if TYPE_CHECKING:
    from collections.abc import Callable


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Ask for all rows at once, each when first the one and then the other limiter lets it."""
    return asyncio.run(_send(rows, job, keep))


async def _send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    client = openai.AsyncOpenAI(base_url=job["base_url"])
    requests = AsyncLimiter(job["rpm"], 60)
    tokens = AsyncLimiter(job["tpm"], 60)
    encoding = tiktoken.get_encoding("o200k_base")
    bound = asyncio.Semaphore(job["in_flight"])

    def cost(body: dict[str, Any]) -> int:
        # 3 tokens for each message and 3 for the answer, as OpenAI's cookbook counts a chat
        texts = [message["content"] for message in body["messages"]]
        prompt = sum(4 + len(encoding.encode(text)) for text in texts) + 3
        return int(prompt + body["max_tokens"])

    async def answer(row: dict[str, Any]) -> None:
        async with bound:
            await requests.acquire()
            await tokens.acquire(cost(row["body"]))
            completion = await client.chat.completions.create(**row["body"])
        keep(row["custom_id"], completion.choices[0].message.content)

    ended = await asyncio.gather(*(answer(row) for row in rows), return_exceptions=True)
    return [type(error).__name__ for error in ended if isinstance(error, BaseException)]
