"""smolagents: takes settings of the client that it makes; it blocks."""

from __future__ import annotations

from smolagents import ChatMessage, OpenAIModel

import ratedispatch as rd
from benchmarks.drop_in.doors.account import KEY, LIMITS, MODEL, in_thread


class Door:
    """A model of its agents."""

    def __init__(self, url: str, is_paced: bool) -> None:
        settings = {"http_client": rd.http_client(LIMITS)} if is_paced else {}
        self._model = OpenAIModel(
            model_id=MODEL,
            api_base=url,
            api_key=KEY,
            client_kwargs=settings,
            retry=False,  # it waits a minute after a refusal
        )

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        return await in_thread(lambda: str(self._model.generate(_said(text)).content))

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        return await in_thread(
            lambda: "".join([d.content or "" for d in self._model.generate_stream(_said(text))])
        )


def _said(text: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=[{"type": "text", "text": text}])]
