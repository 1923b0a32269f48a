"""instructor: is made from a client."""

from __future__ import annotations

import instructor

from benchmarks.drop_in.doors.account import MODEL, async_client


class Door:
    """A client that is asked for text, not for a model of its own."""

    def __init__(self, url: str, is_paced: bool) -> None:
        self._client = instructor.from_openai(async_client(url, is_paced))

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        answer = await self._client.create(model=MODEL, response_model=None, messages=_said(text))
        return str(answer.choices[0].message.content)

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        chunks = await self._client.create(
            model=MODEL, response_model=None, stream=True, messages=_said(text)
        )
        return "".join([one.choices[0].delta.content or "" async for one in chunks if one.choices])


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
