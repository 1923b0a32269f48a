"""
What a request costs the client in processor time, by the way it is sent.

Microseconds a request of user and system time of this process, with a fake server in a process of
its own that answers after 50 ms, so that a steady number of requests is in flight. `bare` is the
least there is in aiohttp: one session, `json.dumps`, `post`, `read`, `json.loads`. `bulk` and
`sdk` are the transports, `sdk` on the client of `make_client` and `sdk_as_it_comes` on a plain
`AsyncOpenAI`, whose pool is httpx2's. The ways take turns in every round, so that a change of the
machine's speed meets all of them; medians and extremes are of the rounds, and so are those of the
ratios to `bare` in the same round.
Target: `bulk` takes at most 1.5 times what `bare` takes.
Run: python -m benchmarks.micro.transport [--rounds N] [--requests N] [--in-flight N] [--json]
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import openai

from benchmarks.frame.command import LOOPBACK, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.tables import compared
from ratedispatch.dispatch.transports.bulk import BulkTransport
from ratedispatch.dispatch.transports.sdk import SdkTransport, make_client
from ratedispatch.outcome import Response
from ratedispatch.request import Request
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.transports.protocol import Transport

KEY = "sk-of-the-fake-server"
TARGET = 1.5
#: Seconds that an attempt may take: none of these does.
TIMEOUT = 60.0


class Bare:
    """What anybody would write with aiohttp, without a care for what goes wrong."""

    def __init__(self, base_url: str, connections: int) -> None:
        self._url = f"{base_url}/chat/completions"
        self._headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        connector = aiohttp.TCPConnector(limit=connections)
        self._session = aiohttp.ClientSession(connector=connector)

    async def send(self, request: Request, timeout: float) -> Response:  # noqa: ARG002
        """Send *request*."""
        data = json.dumps(request.body).encode()
        async with self._session.post(self._url, data=data, headers=self._headers) as raw:
            return Response(raw.status, {}, json.loads(await raw.read()))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _requests(count: int) -> list[Request]:
    text = "A sentence of eight words, ten times over. " * 10
    messages = [{"role": "user", "content": text}]
    body = {"model": "gpt-4o-mini", "messages": messages, "max_completion_tokens": 50}
    return [Request(body, custom_id=f"row-{number}") for number in range(count)]


async def _cost(transport: Transport, requests: list[Request], in_flight: int) -> float:
    """Return microseconds of processor time for each request, once connections are open."""
    started = 0.0

    async def work(waiting: list[Request]) -> None:
        while waiting:
            response = await transport.send(waiting.pop(), TIMEOUT)
            assert response.status == 200, response

    for share in (requests[: 2 * in_flight], requests):
        waiting = share.copy()
        gc.collect()
        started = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(work(waiting))
    return 1e6 * (time.process_time() - started) / len(requests)


async def _bare(url: str, requests: list[Request], in_flight: int) -> float:
    bare = Bare(url, in_flight)
    try:
        return await _cost(bare, requests, in_flight)
    finally:
        await bare.close()


async def _bulk(url: str, requests: list[Request], in_flight: int) -> float:
    async with (
        make_client(base_url=url, api_key=KEY, max_connections=in_flight) as client,
        BulkTransport(client, connections=in_flight) as transport,
    ):
        return await _cost(transport, requests, in_flight)


async def _sdk(url: str, requests: list[Request], in_flight: int) -> float:
    async with make_client(base_url=url, api_key=KEY, max_connections=in_flight) as client:
        return await _cost(SdkTransport(client), requests, in_flight)


async def _sdk_as_it_comes(url: str, requests: list[Request], in_flight: int) -> float:
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
        return await _cost(SdkTransport(client), requests, in_flight)


WAYS: dict[str, Callable[..., Any]] = {
    "bare": _bare,
    "bulk": _bulk,
    "sdk": _sdk,
    "sdk_as_it_comes": _sdk_as_it_comes,
}


def main() -> int:
    """Run everything and print the result; return 1 if the target is missed."""
    parser = make_parser(__doc__, repeats=7, flag="--rounds", seed=None)
    parser.add_argument("--requests", type=positive, default=3_000, metavar="N")
    parser.add_argument("--in-flight", type=positive, default=200, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(None)
    requests = _requests(arguments.requests)
    with FakeServerProcess("--latency", "0.05") as server:
        ways = {
            way: lambda _, run=run: asyncio.run(run(server.base_url, requests, arguments.in_flight))
            for way, run in WAYS.items()
        }
        costs: dict[str, list[float]] = interleave(ways, arguments.repeats)
    figures, table = compared(costs, "bare", "µs a request")
    is_on_target = figures["times_bare"]["bulk"]["median"] <= TARGET
    result = {
        "rounds": arguments.repeats,
        "requests": arguments.requests,
        "in_flight": arguments.in_flight,
        "cpu_us_per_request": figures["cpu_us"],
        "times_bare": figures["times_bare"],
        "targets": {"bulk_times_bare": TARGET},
        "is_on_target": is_on_target,
    }
    verdict = "met" if is_on_target else "MISSED"
    text = f"{table}\n\nbulk at most {TARGET:g} × bare: {verdict}"
    publish(arguments, surroundings, result, text, caveats=LOOPBACK)
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
