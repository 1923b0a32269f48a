"""
How many requests a second the fake server answers on one core.

Drives the server, a child process, with bare aiohttp clients in processes of their own, and
reads the processor time it used. One core would serve ``1 / processor seconds per request``:
that figure does not depend on how fast the clients are, the measured throughput does.

Run it with ``python -m benchmarks.live.server_speed [--requests N] [--runs N] [--json [FILE]]``.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp

from benchmarks.frame.command import LOOPBACK, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import table
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT = (
    "the bucket holds what a minute allows and every request takes its share of it before "
    "another may go so that nobody waits longer than the limit asks and nothing is refused "
    "answer question model token window level budget permit price order queue night report"
)
_WORDS = _TEXT.split()

# limits that are counted but never reached: a refusal is cheaper than an answer
_FLAGS = ("--rpm", "100M", "--tpm", "100G", "--latency", "0.02")


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds (user and system) that process *pid* has used; Linux only."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - no real path
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_bodies(count: int, seed: int, words: int = 185) -> Iterator[bytes]:
    """Yield *count* chat requests, all different, of about 200 tokens each."""
    rng = random.Random(seed)
    for number in range(count):
        text = f"{number}: " + " ".join(rng.choices(_WORDS, k=words))
        body = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": text}],
            "max_tokens": 100,
        }
        yield json.dumps(body).encode()


async def _drive(base_url: str, count: int, seed: int, connections: int) -> int:
    """Post *count* requests over *connections* and return how many were answered with 200."""
    url = f"{base_url}/chat/completions"
    headers = {"content-type": "application/json", "authorization": "Bearer none"}
    bodies = make_bodies(count, seed)
    answered = 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        for body in bodies:
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()
                answered += response.status == 200

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(connections):
            group.create_task(work(session))
    return answered


def _client(base_url: str, count: int, seed: int, connections: int) -> int:
    return asyncio.run(_drive(base_url, count, seed, connections))


def measure(requests: int, clients: int, connections: int, seed: int) -> dict[str, Any]:
    """Return one run: *requests* in all, by *clients* processes of *connections* each."""
    share = requests // clients
    with FakeServerProcess(*_FLAGS) as server, multiprocessing.Pool(clients) as pool:
        base_url = server.base_url
        pool.starmap(_client, [(base_url, 200, seed + 1000 + n, 8) for n in range(clients)])
        server.reset()
        before = cpu_seconds(server.process.pid)
        begin = time.perf_counter()
        answered = sum(
            pool.starmap(
                _client, [(base_url, share, seed + n, connections) for n in range(clients)]
            )
        )
        seconds = time.perf_counter() - begin
        used = cpu_seconds(server.process.pid) - before
        stats = server.stats()
    if answered != share * clients or stats["answered"] != answered:
        raise RuntimeError(f"{answered} of {share * clients} answered: {stats}")
    return {
        "cpu_ms_per_request": round(used / answered * 1000, 4),
        "one_core_requests_per_second": round(answered / used),
        "measured_requests_per_second": round(answered / seconds),
        "tokens_per_request": round(stats["tokens_charged"] / answered, 1),
        "server_latency_p50_s": stats["latency"]["p50"],
        "connections_peak": stats["connections_peak"],
    }


def main() -> int:
    """Run the benchmark and print its result."""
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument(
        "--requests", type=positive, default=20_000, metavar="N", help="of each run"
    )
    parser.add_argument("--clients", type=positive, default=2, metavar="N", help="processes")
    parser.add_argument(
        "--connections", type=positive, default=64, metavar="N", help="of each client"
    )
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    runs = [
        measure(arguments.requests, arguments.clients, arguments.connections, arguments.seed)
        for _ in range(arguments.repeats)
    ]
    speed = Spread.of([run["one_core_requests_per_second"] for run in runs])
    result = {
        "one_core_requests_per_second": {
            "median": speed.median,
            "lowest": speed.least,
            "highest": speed.most,
        },
        "runs": runs,
        "settings": {
            "requests": arguments.requests,
            "clients": arguments.clients,
            "connections": arguments.connections,
            "runs": arguments.repeats,
        },
    }
    rows = [["run", *runs[0]]]
    rows += [[str(number), *map(str, run.values())] for number, run in enumerate(runs, start=1)]
    text = (
        f"{table(rows)}\n\none core: {speed.median:,.0f} requests a second "
        f"({speed.least:,.0f} to {speed.most:,.0f})"
    )
    publish(arguments, surroundings, result, text, caveats=LOOPBACK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
