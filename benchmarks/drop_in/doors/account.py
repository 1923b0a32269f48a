"""
The account that all doors share: its limits, its key, and clients with and without pacing.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, TypeVar

import ratedispatch as rd

if TYPE_CHECKING:
    from collections.abc import Callable

    import openai

T = TypeVar("T")

#: As the server enforces them.
LIMITS = rd.Limits(requests_per_minute=600, tokens_per_minute=1_000_000)

KEY = "key-of-the-benchmark"
MODEL = "gpt-4o-mini"

_THREADS = concurrent.futures.ThreadPoolExecutor(50)


def async_client(url: str, is_paced: bool) -> openai.AsyncOpenAI:
    """Return a client of the server at *url*, paced or plain."""
    import openai

    client = openai.AsyncOpenAI(base_url=url, api_key=KEY)
    return rd.wrap(client, LIMITS) if is_paced else client


async def in_thread(ask: Callable[[], T]) -> T:
    """Run *ask*, which blocks, beside up to 49 others."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, ask)
