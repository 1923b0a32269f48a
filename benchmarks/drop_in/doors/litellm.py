"""litellm: takes a client with each call."""

from __future__ import annotations

from typing import Any

import litellm

from benchmarks.drop_in.doors.account import KEY, MODEL, async_client


class Door:
    """Its function for completions."""

    def __init__(self, url: str, is_paced: bool) -> None:
        self._settings: dict[str, Any] = {
            "model": f"openai/{MODEL}",
            "api_base": url,
            "api_key": KEY,
        }
        if is_paced:
            self._settings["client"] = async_client(url, is_paced)

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        answer = await litellm.acompletion(messages=_said(text), **self._settings)
        return str(answer.choices[0].message.content)

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        chunks = await litellm.acompletion(messages=_said(text), stream=True, **self._settings)
        return "".join([one.choices[0].delta.content or "" async for one in chunks if one.choices])


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
