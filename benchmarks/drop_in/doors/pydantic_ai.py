"""pydantic-ai: takes a client through its provider."""

from __future__ import annotations

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.drop_in.doors.account import MODEL, async_client


class Door:
    """An agent without tools."""

    def __init__(self, url: str, is_paced: bool) -> None:
        provider = OpenAIProvider(openai_client=async_client(url, is_paced))
        self._agent = Agent(OpenAIChatModel(MODEL, provider=provider))

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        return str((await self._agent.run(text)).output)

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        async with self._agent.run_stream(text) as answer:
            return "".join([part async for part in answer.stream_text(delta=True)])
