"""lm-deluge: one ``LLMClient`` with both limits, all prompts at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lm_deluge import Conversation, LLMClient, SamplingParams
from lm_deluge.models import register_model

if TYPE_CHECKING:
    from collections.abc import Callable


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Process all prompts; it hands back a list when the last one is done."""
    register_model(
        id="peer",
        name=job["model"],
        api_base=job["base_url"],
        api_key_env_var="OPENAI_API_KEY",
        api_spec="openai",
    )
    client = LLMClient(
        "peer",
        max_requests_per_minute=job["rpm"],
        max_tokens_per_minute=job["tpm"],
        max_concurrent_requests=job["in_flight"],
        sampling_params=[SamplingParams(max_new_tokens=rows[0]["body"]["max_tokens"])],
    )
    prompts = [Conversation().user(row["body"]["messages"][0]["content"]) for row in rows]
    responses = asyncio.run(client.process_prompts_async(prompts, show_progress=False))
    for row, response in zip(rows, responses, strict=True):
        if response.completion and not response.is_error:
            keep(row["custom_id"], response.completion)
    return [f"status {response.status_code}" for response in responses if response.is_error]
