"""
What a wrapped client takes beside the plain one, call by call.

Microseconds of processor time for one call of ``chat.completions.create``: the asynchronous client
with so many calls at once in one event loop, and the blocking one on as many threads. Both clients
are there at the same time and take turns every few calls, since on a shared machine the next second
is another one. How many Python functions a call takes is exact on any machine. Limits on requests
and tokens are on and far away, and the fake server, a process of its own that does not count,
answers after 5 ms. `gate` is what the gate takes of that: the wait, the payment, the reading of the
answer's head and its report, without counting tokens and without the SDK.

Targets: a wrapped client takes at most 1.05 times the plain one, both ways; the gate at most 10 µs.
Run: python -m benchmarks.live.wrap_cost [--rounds N] [--calls N] [--at-once N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import openai

import ratedispatch as rd
from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import cpu_seconds
from benchmarks.frame.spread import Spread, ratios
from benchmarks.frame.tables import table
from ratedispatch.dispatch.wrap.gate import Gate
from ratedispatch.request import Cost
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_TIMES = 1.05
MOST_GATE_US = 10.0

_FAR = rd.Limits(requests_per_minute=1e8, tokens_per_minute=1e11)
_LATENCY = ("--latency", "0.005", "--latency-sigma", "0")
_ASK: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Name a river that flows through three countries."}],
    "max_tokens": 20,
}
_BODY = (
    b'{"messages":[{"role":"user","content":"Name a river that flows through three countries."}],'
    b'"model":"gpt-4o","max_tokens":20}'
)
_PATH = b"/v1/chat/completions"
_PAIRS = {"async": ("async plain", "async wrapped"), "threads": ("plain", "wrapped")}

#: Calls in which Python functions are counted.
_COUNTED = 50

#: Calls that each task or thread makes before the other client has its turn.
_IN_A_ROW = 2


class Pair(NamedTuple):
    """Microseconds of a call of the plain client, and of the wrapped one."""

    plain: float
    wrapped: float


def asynchronous(base_url: str, calls: int, at_once: int) -> Pair:
    """Return what a call of the asynchronous client takes."""

    async def main() -> Pair:
        async with (
            openai.AsyncOpenAI(base_url=base_url, api_key="any") as plain,
            openai.AsyncOpenAI(base_url=base_url, api_key="any") as other,
        ):
            wrapped = rd.wrap(other, Gate(_FAR, base_url=base_url))

            async def work(client: openai.AsyncOpenAI) -> None:
                for _ in range(_IN_A_ROW):
                    await client.chat.completions.create(**_ASK)

            async def batch(client: openai.AsyncOpenAI) -> float:
                started = time.process_time()
                await asyncio.gather(*(work(client) for _ in range(at_once)))
                return time.process_time() - started

            taken = [0.0, 0.0]
            both = (plain, wrapped)
            for number in range(-1, calls // (at_once * _IN_A_ROW)):
                for place in (0, 1) if number % 2 else (1, 0):
                    seconds = await batch(both[place])
                    if number >= 0:  # in the first one connections are opened
                        taken[place] += seconds
            return Pair(*(1e6 * seconds / calls for seconds in taken))

    return asyncio.run(main())


def threaded(base_url: str, calls: int, at_once: int) -> Pair:
    """Return what a call of the blocking client takes, on as many threads."""
    with (
        openai.OpenAI(base_url=base_url, api_key="any") as plain,
        openai.OpenAI(base_url=base_url, api_key="any") as other,
        ThreadPoolExecutor(at_once) as pool,
    ):
        wrapped = rd.wrap(other, Gate(_FAR, base_url=base_url))

        def work(client: openai.OpenAI) -> None:
            for _ in range(_IN_A_ROW):
                client.chat.completions.create(**_ASK)

        def batch(client: openai.OpenAI) -> float:
            started = time.process_time()
            list(pool.map(work, [client] * at_once))
            return time.process_time() - started

        taken = [0.0, 0.0]
        both = (plain, wrapped)
        for number in range(-1, calls // (at_once * _IN_A_ROW)):
            for place in (0, 1) if number % 2 else (1, 0):
                seconds = batch(both[place])
                if number >= 0:
                    taken[place] += seconds
        return Pair(*(1e6 * seconds / calls for seconds in taken))


def python_calls(base_url: str) -> Pair:
    """Return how many Python functions a call of the blocking client takes, exactly."""
    found = []
    with openai.OpenAI(base_url=base_url, api_key="any") as plain:
        for client in (plain, rd.wrap(plain, Gate(_FAR, base_url=base_url))):
            counted = 0

            def count(_: object, event: str, __: object) -> None:
                nonlocal counted
                counted += event == "call"

            for number in range(2 * _COUNTED):
                if number == _COUNTED:  # what is made once is there
                    sys.setprofile(count)
                client.chat.completions.create(**_ASK)
            sys.setprofile(None)
            found.append(counted / _COUNTED)
    return Pair(*found)


def gate_alone(calls: int) -> float:
    """Return the microseconds that a gate takes for a call, counting left out."""
    gate = Gate(_FAR)

    def run() -> None:
        for _ in range(calls):
            ticket = gate.ticket(_PATH, _BODY)
            assert ticket is not None
            ticket.cost = cost
            ticket.enter_blocking()
            ticket.begin({})
            ticket.settle(None)

    def without() -> None:
        for _ in range(calls):
            gate.ticket(_PATH, _BODY)

    cost = Cost(20, 20)
    return 1e6 * (cpu_seconds(run) - cpu_seconds(without)) / calls


def measure(calls: int, at_once: int, rounds: int) -> tuple[dict[str, list[float]], Pair]:
    """
    Return the microseconds of each round and variant, and the Python calls.

    A first round is left out.
    """
    found: dict[str, list[float]] = {}
    with FakeServerProcess(*_LATENCY) as server:
        counted = python_calls(server.base_url)
        for number in range(rounds + 1):
            pairs = {
                "async": asynchronous(server.base_url, calls, at_once),
                "threads": threaded(server.base_url, calls, at_once),
            }
            taken = {"gate": gate_alone(20 * calls)}
            for way, pair in pairs.items():
                taken |= dict(zip(_PAIRS[way], pair, strict=True))
            progress(
                f"{number}/{rounds} "
                + ", ".join(f"{way} {pair.wrapped / pair.plain:.3f}" for way, pair in pairs.items())
            )
            if number:
                for name, value in taken.items():
                    found.setdefault(name, []).append(value)
    return found, counted


def compared(found: Mapping[str, list[float]]) -> dict[str, Spread]:
    """Return how many times the plain client a wrapped one takes, round by round."""
    return {
        way: ratios({name: found[name] for name in pair}, pair[0])[pair[1]]
        for way, pair in _PAIRS.items()
    }


def misses(found: Mapping[str, list[float]]) -> list[str]:
    """Return a sentence for each target that is missed."""
    missed = [
        f"{way}: {times.median:.3f} times the plain client, not {MOST_TIMES}"
        for way, times in compared(found).items()
        if times.median > MOST_TIMES
    ]
    if (taken := Spread.of(found["gate"]).median) > MOST_GATE_US:
        missed.append(f"the gate takes {taken:.1f} µs, not {MOST_GATE_US:g}")
    return missed


def main() -> int:
    """Run everything and print it; return 1 if a target was missed."""
    parser = make_parser(__doc__, repeats=7, flag="--rounds")
    parser.add_argument("--calls", type=positive, default=1_000, metavar="N")
    parser.add_argument("--at-once", type=positive, default=20, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    found, counted = measure(arguments.calls, arguments.at_once, arguments.repeats)
    spreads = {name: Spread.of(values) for name, values in found.items()}
    times = compared(found)
    missed = misses(found)
    rows = [["µs of processor a call", "median", "least", "most"]]
    rows += [[name, *(f"{value:,.1f}" for value in spread)] for name, spread in spreads.items()]
    lines = [
        f"{way}: {spread.median:.3f} times the plain client ({spread.least:.3f} to "
        f"{spread.most:.3f}, round by round)"
        for way, spread in times.items()
    ]
    lines.append(
        f"Python calls: {counted.wrapped:,.0f} instead of {counted.plain:,.0f}, "
        f"{counted.wrapped / counted.plain:.3f} times"
    )
    text = "\n".join([table(rows), "", *lines, *(f"missed: {sentence}" for sentence in missed)])
    result = {
        "us_per_call": {name: spread.as_dict() for name, spread in spreads.items()},
        "python_calls": counted._asdict(),
        "times_plain": {name: spread.as_dict() for name, spread in times.items()},
        "misses": missed,
    }
    publish(arguments, surroundings, result, text, caveats=LOOPBACK)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
