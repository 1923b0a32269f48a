"""litellm's Router: one deployment with ``rpm`` and ``tpm``, all rows at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import litellm
from litellm import Router

if TYPE_CHECKING:
    from collections.abc import Callable

litellm.suppress_debug_info = True


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Ask the router for all rows; one whose retries are used up is lost, the others are not."""
    return asyncio.run(_send(rows, job, keep))


async def _send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    deployment = {
        "model": f"openai/{job['model']}",
        "api_base": job["base_url"],
        "api_key": "key-of-the-benchmark",
        "rpm": job["rpm"],
        "tpm": job["tpm"],
    }
    router = Router(
        model_list=[{"model_name": job["model"], "litellm_params": deployment}],
        # both as in the script with which its documentation tests that limits are respected
        routing_strategy="simple-shuffle",
        enable_pre_call_checks=True,
    )
    bound = asyncio.Semaphore(job["in_flight"])

    async def answer(row: dict[str, Any]) -> None:
        async with bound:
            completion = await router.acompletion(**row["body"])
        keep(row["custom_id"], completion.choices[0].message.content)

    ended = await asyncio.gather(*(answer(row) for row in rows), return_exceptions=True)
    return [type(error).__name__ for error in ended if isinstance(error, BaseException)]
