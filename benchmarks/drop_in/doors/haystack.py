"""haystack: has no parameter for a client; the one that it makes is replaced."""

from __future__ import annotations

from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret

from benchmarks.drop_in.doors.account import KEY, MODEL, async_client


class Door:
    """A chat generator."""

    def __init__(self, url: str, is_paced: bool) -> None:
        self._generator = OpenAIChatGenerator(
            api_key=Secret.from_token(KEY), model=MODEL, api_base_url=url
        )
        if hasattr(self._generator, "warm_up"):
            self._generator.warm_up()
        if is_paced:
            self._generator.async_client = async_client(url, is_paced)

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        found = await self._generator.run_async([ChatMessage.from_user(text)])
        return str(found["replies"][0].text)

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        parts: list[str] = []

        async def hear(chunk: object) -> None:
            parts.append(str(getattr(chunk, "content", "")))

        await self._generator.run_async([ChatMessage.from_user(text)], streaming_callback=hear)
        return "".join(parts)
