"""The openai SDK as it comes: ``asyncio.gather``, and the client's own two retries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import Callable


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Ask for all rows at once; a row whose retries are used up is lost, the others are not."""
    return asyncio.run(_send(rows, job, keep))


async def _send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    client = openai.AsyncOpenAI(base_url=job["base_url"])
    bound = asyncio.Semaphore(job["in_flight"])

    async def answer(row: dict[str, Any]) -> None:
        async with bound:
            completion = await client.chat.completions.create(**row["body"])
        keep(row["custom_id"], completion.choices[0].message.content)

    ended = await asyncio.gather(*(answer(row) for row in rows), return_exceptions=True)
    return [type(error).__name__ for error in ended if isinstance(error, BaseException)]
