"""
A small job that meets trouble, in virtual time, and what its user feels of it.

Plays rows through a `Dispatcher` against a server that answers what a function of row, second and
number says, so that any trouble can be had, and at any instant. Knows nothing of which there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Response
from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ratedispatch.outcome import Outcome

#: What a user feels of a run, the less the better: seconds to the last answer or to the end, rows
#: without an answer, and requests that were sent in vain.
FELT = ("seconds", "unanswered", "in vain")

OK = Response(
    200,
    {},
    {
        "choices": [{"message": {"content": "yes"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2},
    },
)


#: How rows are handed over.
MAP, IN_TURN, SINGLE = "map", "in turn", "single"


def error(status: int, message: str = "m", code: str = "", **headers: str) -> Response:
    """Return an error as OpenAI writes it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, {"error": {"code": code, "message": message}})


class Call(NamedTuple):
    """
    What a server sees of a request.

    Args:
        row: The number of its row, from 0.
        at: Seconds from the beginning.
        number: How many came before it.
        in_flight: How many are there with it.
    """

    row: int
    at: float
    number: int
    in_flight: int


def at_once(call: Call) -> float:
    """Return the latency of a server that is quick."""
    del call
    return 0.2


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    What a job meets.

    Args:
        name: As in the table of constants.
        answer: What the server says to a call.
        rows: How many there are.
        limits: What the dispatcher is told.
        latency: Seconds to the response to a call.
        way: How the rows are handed over: to a ``map``, to one that asks for the next row when it
            has the outcome of the last, or each to ``submit``.
        options: Further arguments of the `Dispatcher`.
    """

    name: str
    answer: Callable[[Call], Response | Exception]
    rows: int = 200
    limits: Limits = field(default_factory=lambda: Limits(3_000, burst_seconds=1.0))
    latency: Callable[[Call], float] = at_once
    way: str = MAP
    options: Mapping[str, Any] = field(default_factory=dict)


class Server:
    """
    A transport that answers as it is told.

    Args:
        answer: What it says to a call.
        latency: Seconds to the response to a call.

    Attributes:
        calls: How many came.
    """

    base_url = None

    def __init__(
        self,
        answer: Callable[[Call], Response | Exception],
        latency: Callable[[Call], float] = at_once,
    ) -> None:
        self._answer = answer
        self._latency = latency
        self.calls = self._in_flight = 0

    async def send(self, request: Request, timeout: float) -> Response:
        """Wait for the latency, and answer."""
        del timeout
        now = asyncio.get_running_loop().time()
        self._in_flight += 1
        call = Call(int(request.custom_id or 0), now, self.calls, self._in_flight)
        self.calls += 1
        answer = self._answer(call)
        try:
            await asyncio.sleep(self._latency(call))
        finally:
            self._in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def row(number: int) -> Request:
    """Return a small request, named after its *number*."""
    messages = [{"role": "user", "content": f"{number} word"}]
    return Request.chat(model="gpt-4o", messages=messages, max_tokens=16, custom_id=str(number))


def play(trouble: Trouble, seed: int) -> dict[str, float]:
    """Send the rows; return what a user feels, by the names in `FELT`."""
    server = Server(trouble.answer, trouble.latency)
    rows = [row(number) for number in range(trouble.rows)]

    came = asyncio.Event()

    async def in_turn() -> AsyncIterator[Request]:
        for one in rows:
            yield one
            await came.wait()
            came.clear()

    async def outcomes(dispatcher: Dispatcher) -> AsyncIterator[Outcome]:
        if trouble.way == SINGLE:
            for one in rows:
                yield await dispatcher.submit(one)
            return
        async for outcome in dispatcher.map(rows if trouble.way == MAP else in_turn()):
            came.set()
            yield outcome

    async def main() -> tuple[int, float]:
        answered = 0
        rng = random.Random(f"trouble {seed}")
        async with Dispatcher(server, trouble.limits, rng=rng, **trouble.options) as dispatcher:
            with contextlib.suppress(Stopped):
                async for outcome in outcomes(dispatcher):
                    answered += isinstance(outcome, Completed)
            return answered, asyncio.get_running_loop().time()

    answered, seconds = run_virtual(main())
    found = (round(seconds, 6), trouble.rows - answered, server.calls - answered)
    return dict(zip(FELT, found, strict=True))
