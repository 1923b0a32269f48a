"""A transport that answers as a test says, and a map over it."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.limits import Limits
from ratedispatch.outcome import Response
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.request import Request


FAST = Limits(60_000, 6e7)


OK = Response(
    200, {}, {"choices": [{"text": "hi"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
)


LONG = Response(
    200, {}, {"choices": [{"text": "hi"}], "usage": {"prompt_tokens": 9, "completion_tokens": 200}}
)


class Scripted:
    """A transport that answers what a function says, after a second."""

    def __init__(self, answer: Callable[[Request, int], Response | Exception]) -> None:
        self.answer = answer
        self.sent: list[tuple[str | None, float]] = []
        self.in_flight = self.peak = 0

    async def send(self, request: Request, timeout: float) -> Response:
        self.sent.append((request.custom_id, asyncio.get_running_loop().time()))
        number = len(self.sent)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(1)
        finally:
            self.in_flight -= 1
        answer = self.answer(request, number)
        if isinstance(answer, Exception):
            raise answer
        return answer


def error(status: int, code: str = "", message: str = "m", **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, names, {"error": {"code": code, "message": message}})


def run_map(
    transport: Scripted, requests: Any, limits: Limits = FAST, **options: Any
) -> tuple[list[Any], Stopped | None]:
    """Map over *transport*; return outcomes and the stop, if any."""

    async def main() -> tuple[list[Any], Stopped | None]:
        outcomes = []
        dispatcher = Dispatcher(transport, limits, rng=random.Random(1), **options)
        async with dispatcher:
            try:
                async for outcome in dispatcher.map(requests):
                    outcomes.append(outcome)  # noqa: PERF401  (a Stopped may come in between)
            except Stopped as stop:
                return outcomes, stop
        return outcomes, None

    return run_virtual(main())
