"""
What a wrapped client takes beside the plain one, call by call.

Microseconds of processor time for one call of ``chat.completions.create``, in turn in every round:
the asynchronous client with so many calls at once in one event loop, and the blocking one on as
many threads. Limits on requests and tokens are on and far away, and the fake server, a process of
its own that does not count, answers after 5 ms. `gate` is what the gate takes of that: the wait,
the payment, the reading of the answer's head and its report, without counting tokens and without
the SDK.

Targets: a wrapped client takes at most 1.05 times the plain one, both ways; the gate at most 10 µs.
Run: python -m benchmarks.live.wrap_cost [--rounds N] [--calls N] [--at-once N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import openai

import ratedispatch as rd
from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import cpu_seconds, interleave
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


def asynchronous(base_url: str, calls: int, at_once: int, *, is_wrapped: bool) -> float:
    """Return the microseconds of a call of the asynchronous client."""

    async def main() -> float:
        plain = openai.AsyncOpenAI(base_url=base_url, api_key="any")
        client = rd.wrap(plain, Gate(_FAR, base_url=base_url)) if is_wrapped else plain

        async def work(number: int) -> None:
            for _ in range(number):
                await client.chat.completions.create(**_ASK)

        await asyncio.gather(*(work(2) for _ in range(at_once)))
        started = _cpu()
        await asyncio.gather(*(work(calls // at_once) for _ in range(at_once)))
        taken = _cpu() - started
        await plain.close()
        return 1e6 * taken / calls

    return asyncio.run(main())


def threaded(base_url: str, calls: int, at_once: int, *, is_wrapped: bool) -> float:
    """Return the microseconds of a call of the blocking client, on as many threads."""
    plain = openai.OpenAI(base_url=base_url, api_key="any")
    client = rd.wrap(plain, Gate(_FAR, base_url=base_url)) if is_wrapped else plain

    def work(number: int) -> None:
        for _ in range(number):
            client.chat.completions.create(**_ASK)

    def everybody(number: int) -> None:
        threads = [threading.Thread(target=work, args=(number,)) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    everybody(2)
    started = _cpu()
    everybody(calls // at_once)
    taken = _cpu() - started
    plain.close()
    return 1e6 * taken / calls


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


def _cpu() -> float:
    import time

    return time.process_time()


def measure(calls: int, at_once: int, rounds: int) -> dict[str, list[float]]:
    """Return the microseconds of each round and variant; a first round is left out."""
    with FakeServerProcess(*_LATENCY) as server:
        url = server.base_url
        variants = {
            "async plain": partial(asynchronous, url, calls, at_once, is_wrapped=False),
            "async wrapped": partial(asynchronous, url, calls, at_once, is_wrapped=True),
            "plain": partial(threaded, url, calls, at_once, is_wrapped=False),
            "wrapped": partial(threaded, url, calls, at_once, is_wrapped=True),
            "gate": partial(gate_alone, 20 * calls),
        }

        def told(name: str, number: int) -> float:
            taken = variants[name]()
            progress(f"{number}/{rounds} {name}: {taken:,.1f} µs")
            return taken

        found = interleave({name: partial(told, name) for name in variants}, rounds + 1)
    return {name: values[1:] for name, values in found.items()}


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
    found = measure(arguments.calls, arguments.at_once, arguments.repeats)
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
    text = "\n".join([table(rows), "", *lines, *(f"missed: {sentence}" for sentence in missed)])
    result = {
        "us_per_call": {name: spread.as_dict() for name, spread in spreads.items()},
        "times_plain": {name: spread.as_dict() for name, spread in times.items()},
        "misses": missed,
    }
    publish(arguments, surroundings, result, text, caveats=LOOPBACK)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
