"""autogen: takes an HTTP client among the settings of its own."""

from __future__ import annotations

from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

import ratedispatch as rd
from benchmarks.drop_in.doors.account import KEY, LIMITS, MODEL


class Door:
    """A chat client."""

    def __init__(self, url: str, is_paced: bool) -> None:
        clients = {"http_client": rd.async_http_client(LIMITS)} if is_paced else {}
        self._client = OpenAIChatCompletionClient(model=MODEL, base_url=url, api_key=KEY, **clients)

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        return str((await self._client.create([UserMessage(content=text, source="user")])).content)

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        chunks = self._client.create_stream([UserMessage(content=text, source="user")])
        return "".join([one async for one in chunks if isinstance(one, str)])
