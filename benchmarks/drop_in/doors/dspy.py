"""dspy: sends by litellm where it is told to, and that takes an HTTP client for all calls."""

from __future__ import annotations

import dspy
import litellm

import ratedispatch as rd
from benchmarks.drop_in.doors.account import KEY, LIMITS, MODEL


class Door:
    """A language model; it has no streams of its own."""

    def __init__(self, url: str, is_paced: bool) -> None:
        if is_paced:
            litellm.client_session = rd.http_client(LIMITS)
            litellm.aclient_session = rd.async_http_client(LIMITS)
        self._model = dspy.LM(
            f"openai/{MODEL}", engine="litellm", api_base=url, api_key=KEY, cache=False
        )

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        return str((await self._model.acall(text))[0])

    async def stream(self, text: str) -> str:
        """Return the same as a whole."""
        return await self.ask(text)
