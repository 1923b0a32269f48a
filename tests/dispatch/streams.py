"""Answers in parts, for tests of the engine."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import ratedispatch as rd
from ratedispatch.testing import ProviderSettings, ProviderTransport
from tests.dispatch.scripted import OK, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HI = [{"role": "user", "content": "Who is Joseph Conrad?"}]
USAGE = {"include_usage": True}


def chat(name: str = "a", cap: int = 40, **more: Any) -> rd.Request:
    return rd.Request.chat(model="gpt-4o", messages=HI, max_tokens=cap, custom_id=name, **more)


def texts(events: Iterable[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for event in events for choice in event["choices"]
    )


def world(faults: dict[str, float] | None = None, **settings: Any) -> ProviderTransport:
    settings = {"latency": 1.0, "token_time": 0.1, **settings}
    return ProviderTransport(ProviderSettings(faults=faults or {}, **settings), random.Random(1))


class Streamed:
    """An answer in parts, as a test says."""

    def __init__(
        self, events: Iterable[Any], gap: float, headers: dict[str, str] | None = None
    ) -> None:
        self.status, self.headers = 200, {"x-request-id": "r", **(headers or {})}
        self.events, self.gap = iter(events), gap
        self.is_closed = False

    def __aiter__(self) -> Streamed:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(self.gap)
        event = next(self.events, None)
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, Exception):
            raise event
        return event

    async def aclose(self) -> None:
        self.is_closed = True


class Streams(Scripted):
    """A transport whose n-th answer is what a function says: events, or a response."""

    def __init__(self, answer: Callable[[int], Any], gap: float = 1.0) -> None:
        super().__init__(lambda *_: OK)
        self.answers, self.gap = answer, gap
        self.opened: list[Streamed] = []
        self.headers: dict[str, str] = {}

    async def stream(self, request: rd.Request, timeout: float) -> Any:
        self.sent.append((request.custom_id, asyncio.get_running_loop().time()))
        answer = self.answers(len(self.sent))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, rd.Response):
            return answer
        self.opened.append(Streamed(answer, self.gap, self.headers))
        return self.opened[-1]


def chunk(text: str = "x", finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


WHOLE = [chunk("one "), chunk("two"), chunk("", "stop")]


async def read(dispatcher: rd.Dispatcher, request: rd.Request | None = None) -> list[Any]:
    return [event async for event in dispatcher.stream(request or chat())]
