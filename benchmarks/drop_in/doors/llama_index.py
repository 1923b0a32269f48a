"""llama-index: takes an HTTP client for each of its two kinds of calls."""

from __future__ import annotations

from llama_index.llms.openai import OpenAI

import ratedispatch as rd
from benchmarks.drop_in.doors.account import KEY, LIMITS, MODEL


class Door:
    """A language model."""

    def __init__(self, url: str, is_paced: bool) -> None:
        clients = {}
        if is_paced:
            clients["http_client"] = rd.http_client(LIMITS)
            clients["async_http_client"] = rd.async_http_client(LIMITS)
        self._model = OpenAI(model=MODEL, api_base=url, api_key=KEY, **clients)

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        return str((await self._model.acomplete(text)).text)

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        return "".join([one.delta or "" async for one in await self._model.astream_complete(text)])
