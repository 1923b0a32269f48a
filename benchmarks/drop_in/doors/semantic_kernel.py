"""semantic-kernel: takes a client."""

from __future__ import annotations

from semantic_kernel.connectors.ai.open_ai import (
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
)
from semantic_kernel.contents import ChatHistory

from benchmarks.drop_in.doors.account import MODEL, async_client


class Door:
    """A chat service."""

    def __init__(self, url: str, is_paced: bool) -> None:
        client = async_client(url, is_paced)
        self._service = OpenAIChatCompletion(ai_model_id=MODEL, async_client=client)

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        settings = OpenAIChatPromptExecutionSettings()
        return str(await self._service.get_chat_message_content(_said(text), settings))

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        settings = OpenAIChatPromptExecutionSettings()
        chunks = self._service.get_streaming_chat_message_content(_said(text), settings)
        return "".join([str(one) async for one in chunks if one is not None])


def _said(text: str) -> ChatHistory:
    history = ChatHistory()
    history.add_user_message(text)
    return history
