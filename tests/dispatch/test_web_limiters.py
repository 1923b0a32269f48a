"""Servers behind rate limiters of the web, whose headers tell a window, in virtual time."""

from __future__ import annotations

import asyncio
import math
import random

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Response
from ratedispatch.request import CHAT, Request
from ratedispatch.simulate.clock import run_virtual

_ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
}


class Server:
    """
    Admits *limit* in a window that begins with a request, as express-rate-limit does.

    Args:
        limit: How many.
        window: Seconds.
        form: ``three`` fields, ``draft-8``, ``milliseconds`` of a reset, or ``none``.
        claims: A limit that the headers tell instead, and of which nothing is ever used.
    """

    def __init__(self, limit: int, window: float, form: str, claims: int = 0) -> None:
        self.base_url = "http://limited.test/v1"
        self.limit, self.window, self.form, self.claims = limit, window, form, claims
        self.ends, self.count, self.refused, self.last = -math.inf, 0, 0, 0.0

    async def send(self, request: Request, timeout: float) -> Response:
        """Answer, or refuse at once."""
        del request, timeout
        clock = asyncio.get_running_loop()
        await asyncio.sleep(0.002)
        if clock.time() >= self.ends:
            self.ends, self.count = clock.time() + self.window, 0
        self.count += 1
        headers = self._headers(math.ceil(self.ends - clock.time()))
        if self.count > self.limit:
            self.refused += 1
            return Response(429, headers, "Too many requests, please try again later.")
        await asyncio.sleep(0.3)
        self.last = clock.time()
        return Response(200, headers, _ANSWER)

    def _headers(self, ends_in: int) -> dict[str, str]:
        limit, left = self.limit, max(0, self.limit - self.count)
        if self.claims:
            limit, left = self.claims, self.claims - 1
        if self.form == "none":
            return {}
        if self.form == "draft-8":
            policy = f'"default"; q={limit}; w={self.window:.0f}; pk=:NDk0=:'
            return {"ratelimit": f'"default"; r={left}; t={ends_in}', "ratelimit-policy": policy}
        reset = ends_in * 1000 if self.form == "milliseconds" else ends_in
        names = {"limit": limit, "remaining": left, "reset": reset}
        return {f"x-ratelimit-{name}": str(value) for name, value in names.items()}


def run(server: Server, limits: Limits, rows: int = 300) -> tuple[int, float]:
    """Send *rows*; return how many were refused, and the second of the last answer."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}], "max_tokens": 4}
    requests = [Request(body, CHAT, f"r{number}") for number in range(rows)]

    async def main() -> None:
        async with Dispatcher(server, limits, rng=random.Random(1)) as dispatcher:
            outcomes = [outcome async for outcome in dispatcher.map(requests)]
        assert len([one for one in outcomes if isinstance(one, Completed)]) == rows

    run_virtual(main())
    return server.refused, round(server.last, 1)


AUTO = Limits("auto", "auto")


@pytest.mark.parametrize(
    ("form", "limits", "refused", "last"),
    [
        ("three", AUTO, 0, 21.0),
        ("draft-8", AUTO, 0, 21.0),
        ("three", Limits(600), 0, 21.0),
        ("draft-8", Limits(600), 0, 21.0),
        ("three", Limits(6000), 0, 20.7),
        ("milliseconds", AUTO, 27, 22.1),
        ("none", AUTO, 34, 24.4),
    ],
)
def test_a_hundred_in_ten_seconds(form: str, limits: Limits, refused: int, last: float) -> None:
    """Three windows: 20 s at least; what cannot be read is as if it were not there."""
    assert run(Server(100, 10, form), limits) == (refused, last)


@pytest.mark.parametrize(("form", "refused", "last"), [("draft-8", 3, 12.2), ("none", 17, 15.2)])
def test_five_in_a_second(form: str, refused: int, last: float) -> None:
    """Sixty rows: 11 s at least."""
    assert run(Server(5, 1, form), AUTO, 60) == (refused, last)


@pytest.mark.parametrize("claims", [1, 5, 100_000])
def test_a_header_that_is_not_ours_slows_nobody_down(claims: int) -> None:
    """It never falls, whatever we send: as if it were not there."""
    told = run(Server(10_000, 10, "three", claims), AUTO)
    assert told == run(Server(10_000, 10, "none"), AUTO)
