"""openlimit: ``asyncio.gather``, each call inside its ``ChatRateLimiter``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai
from openlimit import ChatRateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Ask for all rows at once, each when the limiter lets it."""
    return asyncio.run(_send(rows, job, keep))


async def _send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    client = openai.AsyncOpenAI(base_url=job["base_url"])
    limiter = ChatRateLimiter(request_limit=job["rpm"], token_limit=job["tpm"])
    bound = asyncio.Semaphore(job["in_flight"])

    async def answer(row: dict[str, Any]) -> None:
        async with bound, limiter.limit(**row["body"]):
            completion = await client.chat.completions.create(**row["body"])
        keep(row["custom_id"], completion.choices[0].message.content)

    ended = await asyncio.gather(*(answer(row) for row in rows), return_exceptions=True)
    return [type(error).__name__ for error in ended if isinstance(error, BaseException)]
