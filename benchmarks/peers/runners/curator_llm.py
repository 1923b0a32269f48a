"""curator: one ``LLM`` on its OpenAI backend, with both limits, over a list of inputs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bespokelabs import curator

if TYPE_CHECKING:
    from collections.abc import Callable


class _Asker(curator.LLM):  # type: ignore[misc]  # untyped where it is not installed
    def prompt(self, input: dict[str, Any]) -> str:  # noqa: A002 - the name that it calls with
        return str(input["content"])

    def parse(self, input: dict[str, Any], response: str) -> dict[str, Any]:  # noqa: A002
        return {"custom_id": input["custom_id"], "answer": response}


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Process all rows; it hands back a dataset of those that were answered."""
    os.environ["CURATOR_CACHE_DIR"] = job["folder"]
    params: dict[str, Any] = {
        "base_url": job["base_url"],
        "max_requests_per_minute": job["rpm"],
        "max_tokens_per_minute": job["tpm"],
        "max_concurrent_requests": job["in_flight"],
        # as it comes, one row that failed would make it raise and hand back none
        "require_all_responses": False,
    }
    asker = _Asker(
        model_name=job["model"],
        backend="openai",
        backend_params=params,
        generation_params={"max_tokens": rows[0]["body"]["max_tokens"]},
    )
    inputs = [
        {"custom_id": row["custom_id"], "content": row["body"]["messages"][0]["content"]}
        for row in rows
    ]
    for found in asker(inputs).dataset:
        if found["answer"]:
            keep(found["custom_id"], found["answer"])
    return []  # it says nothing of those that failed
