"""A server behind a mock transport, and clients of the SDK that send to it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai

import ratedispatch as rd
from ratedispatch.dispatch.permits import LoopAlarm
from ratedispatch.dispatch.transports.http_library import http

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGES: Any = [{"role": "user", "content": "Is 97 a prime?"}]
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES, "max_tokens": 10}

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Yes."},
        }
    ],
    "usage": {"prompt_tokens": 14, "completion_tokens": 2, "total_tokens": 16},
}

RATE = {
    "error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}
}
QUOTA = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}

#: In the place of an answer: the connection breaks.
BROKEN = "broken"


class Upstream:
    """
    Gives its script, answer by answer, and then the same answer for ever.

    Args:
        script: Statuses with a body each, or BROKEN.
        seconds: How long each answer takes, where it can wait.

    Attributes:
        at: When each request came, in seconds of the loop.
        seen: Each of them.
    """

    def __init__(self, *script: Any, seconds: float = 0.0) -> None:
        self._script = list(script)
        self._seconds = seconds
        self.at: list[float] = []
        self.seen: list[http.Request] = []

    def __call__(self, request: http.Request) -> http.Response:
        self.seen.append(request)
        return self._next(request)

    async def in_time(self, request: http.Request) -> http.Response:
        self.at.append(asyncio.get_running_loop().time())
        self.seen.append(request)
        answer = self._next(request)
        if self._seconds:
            await asyncio.sleep(self._seconds)
        return answer

    def _next(self, request: http.Request) -> http.Response:
        step = self._script.pop(0) if self._script else (200, ANSWER)
        if step == BROKEN:
            raise http.ReadError("cut off", request=request)
        status, body, *headers = step
        if isinstance(body, http.SyncByteStream | http.AsyncByteStream):
            kind = {"content-type": "text/event-stream"}
            return http.Response(status, headers=headers[0] if headers else kind, stream=body)
        return http.Response(status, headers=headers[0] if headers else None, json=body)

    @property
    def contents(self) -> list[Any]:
        """What was asked, in the order in which it came."""
        return [json.loads(request.content)["messages"][0]["content"] for request in self.seen]


def sync_client(upstream: Upstream, **settings: Any) -> openai.OpenAI:
    """Return an unpaced client of *upstream*."""
    transport = http.MockTransport(upstream)
    return openai.OpenAI(
        api_key="sk-test", http_client=http.Client(transport=transport), **settings
    )


def async_client(upstream: Upstream, **settings: Any) -> openai.AsyncOpenAI:
    """Return an unpaced client of *upstream*, which waits in the loop."""
    transport = http.MockTransport(upstream.in_time)
    return openai.AsyncOpenAI(
        api_key="sk-test", http_client=http.AsyncClient(transport=transport), **settings
    )


def gate(limits: rd.Limits | None = None, **options: Any) -> rd.Gate:
    """Return a gate in the time of the loop, of a hundred requests a minute and no burst."""
    alarm: Callable[[], Any] = LoopAlarm
    limits = limits or rd.Limits(requests_per_minute=60, burst_seconds=0)
    return rd.Gate(limits, alarm=alarm, **options)
