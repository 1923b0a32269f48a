"""
The algorithm of ``api_request_parallel_processor.py`` in OpenAI's cookbook, written anew.

One loop looks every millisecond for a request that the capacity of a minute pays for, retries
first; capacity refills with time up to a whole minute's, and starts full. A request that fails
goes back to the queue until its five attempts are used up. After a refusal the loop stands still
until 15 s have passed since. There is no bound on requests in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import tiktoken

if TYPE_CHECKING:
    from collections.abc import Callable

_ATTEMPTS = 5
_PAUSE_SECONDS = 15
_TURN_SECONDS = 0.001


@dataclass
class _Request:
    row: dict[str, Any]
    cost: int
    attempts: int = _ATTEMPTS


@dataclass
class _Capacity:
    """What is left of a minute's limit; starts full."""

    per_minute: float
    left: float
    seen: float

    def refill(self, now: float) -> None:
        grown = self.left + self.per_minute * (now - self.seen) / 60
        self.left, self.seen = min(grown, self.per_minute), now


class _Processor:
    def __init__(self, job: dict[str, Any], keep: Callable[[str, str], None]) -> None:
        now = time.perf_counter()
        self.url = job["base_url"] + "/chat/completions"
        self.requests = _Capacity(job["rpm"], job["rpm"], now)
        self.tokens = _Capacity(job["tpm"], job["tpm"], now)
        self.retries: deque[_Request] = deque()
        self.refused_at = float("-inf")
        self.keep = keep
        self.failures: list[str] = []

    async def work_off(self, session: aiohttp.ClientSession, rows: list[dict[str, Any]]) -> None:
        encoding = tiktoken.get_encoding("cl100k_base")
        left = iter(rows)
        waiting: _Request | None = None
        running: set[asyncio.Task[None]] = set()
        exhausted = False
        while True:
            if waiting is None and self.retries:
                waiting = self.retries.popleft()
            elif waiting is None and not exhausted:
                row = next(left, None)
                exhausted = row is None
                waiting = None if row is None else _Request(row, _cost(row["body"], encoding))
            now = time.perf_counter()
            self.requests.refill(now)
            self.tokens.refill(now)
            if waiting is not None and self.requests.left >= 1 and self.tokens.left >= waiting.cost:
                self.requests.left -= 1
                self.tokens.left -= waiting.cost
                waiting.attempts -= 1
                task = asyncio.create_task(self._ask(session, waiting))
                running.add(task)
                task.add_done_callback(running.discard)
                waiting = None
            if exhausted and waiting is None and not self.retries and not running:
                return
            await asyncio.sleep(_TURN_SECONDS)
            rest = self.refused_at + _PAUSE_SECONDS - time.perf_counter()
            if rest > 0:
                await asyncio.sleep(rest)

    async def _ask(self, session: aiohttp.ClientSession, request: _Request) -> None:
        answer: dict[str, Any] = {}
        try:
            async with session.post(self.url, json=request.row["body"]) as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            answer = {"error": {}}
        if "error" not in answer:
            self.keep(request.row["custom_id"], answer["choices"][0]["message"]["content"])
            return
        if "rate limit" in str(answer["error"].get("message", "")).lower():
            self.refused_at = time.perf_counter()
        if request.attempts:
            self.retries.append(request)
        else:
            self.failures.append(str(answer["error"].get("code") or "connection"))


def _cost(body: dict[str, Any], encoding: tiktoken.Encoding) -> int:
    prompt = 2
    for message in body["messages"]:
        prompt += 4 + sum(len(encoding.encode(value)) for value in message.values())
    return int(prompt + body.get("n", 1) * body.get("max_tokens", 15))


def send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    """Process the rows in the order of the file."""
    return asyncio.run(_send(rows, job, keep))


async def _send(
    rows: list[dict[str, Any]], job: dict[str, Any], keep: Callable[[str, str], None]
) -> list[str]:
    headers = {"Authorization": "Bearer key-of-the-benchmark"}
    async with aiohttp.ClientSession(headers=headers) as session:
        processor = _Processor(job, keep)
        await processor.work_off(session, rows)
    return processor.failures
