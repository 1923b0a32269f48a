"""deepeval: takes an HTTP client for each of its two kinds of calls; it has no streams."""

from __future__ import annotations

from deepeval.models import GPTModel

import ratedispatch as rd
from benchmarks.drop_in.doors.account import KEY, LIMITS, MODEL


class Door:
    """A judge."""

    def __init__(self, url: str, is_paced: bool) -> None:
        clients = {}
        if is_paced:
            clients["http_client"] = rd.http_client(LIMITS)
            clients["async_http_client"] = rd.async_http_client(LIMITS)
        self._model = GPTModel(model=MODEL, base_url=url, api_key=KEY, **clients)

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        answer = await self._model.a_generate(text)
        return str(answer[0] if isinstance(answer, tuple) else answer)

    async def stream(self, text: str) -> str:
        """Return the same as a whole."""
        return await self.ask(text)
