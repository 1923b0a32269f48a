"""
How many Python calls a request costs, and how often they go from one module to another.

Counts and does not time, so the figures are exact and any difference is a change of the code. A
call is an event ``call`` of `sys.setprofile` whose frame runs code of a module of `ratedispatch`,
without `ratedispatch.simulate`: the first entry of a function and each time a generator or a
coroutine is resumed. Functions written in C, the standard library (asyncio too), aiolimiter and
the benchmark itself are not counted. A change is a pair of counted calls, one right after the
other, in different modules.

`submit` is one answered ``Dispatcher.submit``, from its call to its return. `row` is one row of a
job: all that happens between two sends with one request in flight. `refusal` is what one 429
causes: from the first send of a request to its second. Limits are known, every answer carries
OpenAI's six headers and its usage, and comes after 6 ms of virtual time without any HTTP. The
first journeys, in which caches fill, are left out; each figure is the median of the others.
Targets: a submit takes at most 160 calls and 80 changes, a row at most 240 and 130.
Run: python -m benchmarks.micro.calls [--repeats N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.frame.command import make_parser, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import NOTHING, table
from ratedispatch import Dispatcher, DispatcherOptions, Limits, Request, Response, run_file
from ratedispatch.testing import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

#: The most calls and changes of module, by journey; a refusal is counted without a target.
TARGETS = {"submit": (160, 80), "row": (240, 130)}

_PACKAGE = "ratedispatch."
_LEFT_OUT = ("ratedispatch.simulate.", "ratedispatch.testing.")

#: Journeys that are left out: after 32 answers a model's calibration has settled, after 100 the
#: time-out of its route.
_FIRST = 110

_LIMITS = Limits(10_000, 2_000_000)

#: Seconds to an answer; one request has flowed back into the bucket by then.
_LATENCY = 0.006

_HEADERS = {
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999972",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "1ms",
}
_BODY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "one answer of many"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 15, "completion_tokens": 8, "total_tokens": 23},
}
_ERROR = {
    "error": {
        "message": "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 2000000, "
        "Used 2000000, Requested 31. Please try again in 6ms.",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }
}


class Count(NamedTuple):
    """
    What was counted on one journey.

    Args:
        calls: Python calls.
        changes: Of them, those in another module than the call before.
        modules: Different modules called.
    """

    calls: int
    changes: int
    modules: int

    @classmethod
    def of(cls, modules: Sequence[str]) -> Count:
        """Return the count of calls in *modules*, in order."""
        changes = sum(one != other for one, other in itertools.pairwise(modules))
        return cls(len(modules), changes, len(set(modules)))


class CallLog:
    """The modules of all counted calls of this thread while it is on, in order."""

    def __init__(self) -> None:
        self.modules: list[str] = []

    def __enter__(self) -> CallLog:
        self.modules = []
        sys.setprofile(self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def take(self) -> list[str]:
        """Return what was called since the last time, and begin again."""
        taken, self.modules = self.modules, []
        return taken

    def _hear(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            name = frame.f_globals.get("__name__", "")
            if name.startswith(_PACKAGE) and not name.startswith(_LEFT_OUT):
                self.modules.append(name)


class CannedTransport:
    """
    A transport whose answers are ready.

    Args:
        on_send: Called at each send.
        is_refused: Says of each send, numbered from 0, whether it is answered with a 429.
    """

    base_url = "https://api.openai.com/v1"

    def __init__(
        self,
        on_send: Callable[[], object] = lambda: None,
        is_refused: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._on_send = on_send
        self._is_refused = is_refused
        self._sent = 0
        content = json.dumps(_BODY, separators=(",", ":")).encode()
        self._answer = Response(200, _HEADERS, _BODY, text=content)
        refused = {**_HEADERS, "x-ratelimit-remaining-tokens": "0", "retry-after-ms": "6"}
        self._refusal = Response(429, refused, _ERROR)

    async def send(self, request: Request, timeout: float) -> Response:
        """Answer *request*."""
        del request, timeout
        number, self._sent = self._sent, self._sent + 1
        self._on_send()
        await asyncio.sleep(_LATENCY)
        return self._refusal if self._is_refused(number) else self._answer


#: Never the same twice in a process: what was counted before is remembered, which saves calls.
_NUMBERS = itertools.count(1000)


def _request() -> Request:
    number = next(_NUMBERS)
    messages = [{"role": "user", "content": f"question {number} of the many"}]
    return Request.chat(
        model="gpt-4o", messages=messages, max_tokens=16, custom_id=f"request-{number}"
    )


def count_submits(repeats: int) -> list[list[str]]:
    """Return the modules called by each of so many answered submits."""
    found: list[list[str]] = []
    log = CallLog()

    async def main() -> None:
        async with Dispatcher(CannedTransport(), _LIMITS, rng=random.Random(0)) as dispatcher:
            for _ in range(_FIRST + repeats):
                with log:
                    await dispatcher.submit(_request())
                found.append(log.take())
                await asyncio.sleep(1.0)

    run_virtual(main())
    return found[_FIRST:]


def count_refusals(repeats: int) -> list[list[str]]:
    """Return the modules called from the first send to the second, of so many refused requests."""
    log = CallLog()
    cuts: list[list[str]] = []
    transport = CannedTransport(lambda: cuts.append(log.take()), lambda number: number % 2 == 0)

    async def main() -> None:
        async with Dispatcher(transport, _LIMITS, rng=random.Random(0)) as dispatcher:
            with log:
                for _ in range(_FIRST + repeats):
                    await dispatcher.submit(_request())
                    await asyncio.sleep(1.0)

    run_virtual(main())
    # after the 429, before it, after the next, ...; the first is what came before all
    return cuts[1::2][_FIRST:]


def count_rows(repeats: int) -> list[list[str]]:
    """Return the modules called between two sends of a job, so many times."""
    log = CallLog()
    cuts: list[list[str]] = []
    transport = CannedTransport(lambda: cuts.append(log.take()))
    with tempfile.TemporaryDirectory() as folder:
        rows, output = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        requests = [_request() for _ in range(_FIRST + repeats + 1)]
        rows.write_text("".join(f"{json.dumps(_row(request))}\n" for request in requests))

        async def main() -> None:
            with log:
                await run_file(
                    rows,
                    output,
                    client=transport,
                    limits=_LIMITS,
                    dispatcher_options=DispatcherOptions(max_in_flight=1, rng=random.Random(0)),
                )

        run_virtual(main())
    return cuts[1 + _FIRST :]


def _row(request: Request) -> dict[str, Any]:
    return {
        "custom_id": request.custom_id,
        "method": "POST",
        "url": request.endpoint,
        "body": request.body,
    }


#: What is counted, by name.
JOURNEYS = {"submit": count_submits, "row": count_rows, "refusal": count_refusals}


def summarise(found: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, Any]:
    """
    Return what the journeys come to, and whether that is on target.

    Args:
        found: The modules called on each journey, in order, by its name.
    """
    journeys, is_on_target = {}, True
    for name, called in found.items():
        counts = [Count.of(modules) for modules in called]
        spreads = [Spread.of(values) for values in zip(*counts, strict=True)]
        visits = Counter(module for modules in called for module in _entered(modules))
        journeys[name] = {
            **{
                figure: spread.as_dict(1)
                for figure, spread in zip(Count._fields, spreads, strict=True)
            },
            "most_visited": {
                module.removeprefix(_PACKAGE): round(visited / len(called), 1)
                for module, visited in visits.most_common(5)
            },
        }
        most = TARGETS.get(name, ())
        is_on_target &= all(
            spread.median <= bound for spread, bound in zip(spreads, most, strict=False)
        )
    targets = {name: dict(zip(Count._fields, most, strict=False)) for name, most in TARGETS.items()}
    return {"journeys": journeys, "targets": targets, "is_on_target": is_on_target}


def _entered(modules: Sequence[str]) -> list[str]:
    """Return the modules that a call came to from another one."""
    before = ["", *modules]
    return [one for one, last in zip(modules, before, strict=False) if one != last]


def _text(result: Mapping[str, Any]) -> str:
    rows = [["journey", "calls", "target", "changes", "target", "modules"]]
    visited = []
    for name, figures in result["journeys"].items():
        target = result["targets"].get(name, {})
        cells = []
        for figure in ("calls", "changes"):
            cells += [f"{figures[figure]['median']:g}", str(target.get(figure, NOTHING))]
        rows.append([name, *cells, f"{figures['modules']['median']:g}"])
        most = (f"{module} {count:g}" for module, count in figures["most_visited"].items())
        visited.append(f"Most visited by {name}: {', '.join(most)}.")
    verdict = "met" if result["is_on_target"] else "MISSED"
    return "\n".join([table(rows), "", *visited, "", f"Targets: {verdict}"])


def main() -> int:
    """Count everything and print the result; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=100, seed=None)
    arguments = parser.parse_args()
    surroundings = environment(None)
    found = {name: count(arguments.repeats) for name, count in JOURNEYS.items()}
    result = {"repeats": arguments.repeats, **summarise(found)}
    publish(arguments, surroundings, result, _text(result))
    return 0 if result["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
