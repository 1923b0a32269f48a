"""langchain-openai: takes an HTTP client for each of its two kinds of calls."""

from __future__ import annotations

from langchain_openai import ChatOpenAI

import ratedispatch as rd
from benchmarks.drop_in.doors.account import KEY, LIMITS, MODEL


class Door:
    """A chat model."""

    def __init__(self, url: str, is_paced: bool) -> None:
        clients = {}
        if is_paced:
            clients["http_client"] = rd.http_client(LIMITS)
            clients["http_async_client"] = rd.async_http_client(LIMITS)
        self._model = ChatOpenAI(model=MODEL, base_url=url, api_key=KEY, **clients)

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        answer = await self._model.ainvoke(text)
        return str(answer.content)

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        return "".join([str(chunk.content) async for chunk in self._model.astream(text)])
