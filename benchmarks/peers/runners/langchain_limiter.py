"""langchain-openai: one ``ChatOpenAI`` with an ``InMemoryRateLimiter``, and ``abatch``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_openai import ChatOpenAI

if TYPE_CHECKING:
    from collections.abc import Callable


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Ask for all rows in one batch; it hands back a list, with exceptions in their places."""
    model = ChatOpenAI(
        model=job["model"],
        base_url=job["base_url"],
        max_tokens=rows[0]["body"]["max_tokens"],
        # the two other numbers are those of the example in its documentation
        rate_limiter=InMemoryRateLimiter(
            requests_per_second=job["rpm"] / 60, check_every_n_seconds=0.1, max_bucket_size=10
        ),
    )
    config = {"max_concurrency": job["in_flight"]}
    prompts = [row["body"]["messages"][0]["content"] for row in rows]
    answers = asyncio.run(model.abatch(prompts, config=config, return_exceptions=True))
    for row, answer in zip(rows, answers, strict=True):
        if not isinstance(answer, BaseException):
            keep(row["custom_id"], str(answer.content))
    return [type(answer).__name__ for answer in answers if isinstance(answer, BaseException)]
