"""
How long counting keeps the event loop from its other work.

Each case is submitted to a `Dispatcher` whose transport answers at once, with an empty memory and
the vocabulary loaded, while a ticker on the same loop asks for a turn every 0.5 ms. Two figures
for each case, medians over the repeats:

- `loop_cpu_ms`: the most CPU time of the loop's own thread from one turn of the ticker to the
  next. It is what is done inline, whatever else runs on the machine; this one has the target.
- `gap_ms`: the longest time between two turns, by the wall clock. On top of the former it has the
  waits for the interpreter's lock, which a thread that computes gives up after
  `switch_interval_ms`, and whatever else the machine did.

`idle` is the same with nothing submitted, `first_request` loads the vocabulary and has no target.
Texts are slices of Python's own help texts. Garbage of the cases themselves is not collected
while they run.
The repeats of a case follow each other: its requests hold up to some 100 MB, and the cases are
held against a target, not against each other. The exit code is 1 if one misses it.
Run: python -m benchmarks.micro.loop_lag [--repeats N] [--seed N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import base64
import gc
import random
import sys
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import table
from benchmarks.frame.texts import prose
from ratedispatch import Dispatcher, Limits
from ratedispatch.outcome import Response
from ratedispatch.request import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, Request
from ratedispatch.tokens import Counter
from ratedispatch.tokens.vocabulary import SHARED, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 17
MODEL = "gpt-4o-mini"
OLDER = "gpt-4"
PERIOD = 0.0005
TARGET_MS = 5.0

_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class AtOnce:
    """A transport without a network."""

    async def send(self, request: Request, timeout: float) -> Response:
        """Answer *request* after one turn of the loop, which any network takes."""
        del request, timeout
        await asyncio.sleep(0)
        return Response(200, {}, {"choices": [{"text": "hi"}], "usage": _USAGE})


class Ticker:
    """Takes a turn of the loop as often as it can and remembers the longest waits."""

    def __init__(self) -> None:
        self.gap = self.cpu = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Ticker:
        self._task = asyncio.create_task(self._run())
        await asyncio.sleep(20 * PERIOD)
        self.gap = self.cpu = 0.0
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(20 * PERIOD)
        assert self._task is not None
        self._task.cancel()

    async def _run(self) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(PERIOD)
            wall_now, cpu_now = time.perf_counter(), time.thread_time()
            self.gap = max(self.gap, wall_now - wall - PERIOD)
            self.cpu = max(self.cpu, cpu_now - cpu)
            wall, cpu = wall_now, cpu_now


def _corpus(characters: int) -> str:
    corpus = prose()
    return (corpus * (characters // len(corpus) + 1))[:characters]


def _chat(*contents: Any, model: str = MODEL, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": content} for content in contents]
    return {"model": model, "messages": messages, **more}


def _tool(schema: dict[str, Any]) -> list[dict[str, Any]]:
    function = {"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}}
    return [{"type": "function", "function": function}]


def _cases(seed: int) -> Iterator[tuple[str, list[Request]]]:
    """Yield names and requests: realistic ones first, then what only an attacker would send."""
    rng = random.Random(seed)
    corpus = _corpus(5_000_000)
    data = base64.b64encode(rng.randbytes(15_000_000)).decode()
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\4\0\0\0\4\0\x08\2\0\0\0").decode()
    url = f"data:image/png;base64,{png}{data}"

    def chats(bodies: list[dict[str, Any]]) -> list[Request]:
        return [Request(body, CHAT) for body in bodies]

    starts = [rng.randrange(1_000_000) for _ in range(200)]
    yield "200_rows_of_200_tokens", chats([_chat(corpus[at : at + 850]) for at in starts])
    shared = corpus[:2_400]
    yield "200_rows_just_below_the_thread", chats([_chat(shared + str(at)) for at in starts])
    long = corpus[:400_000]
    yield "20_rows_sharing_400_kB", chats([_chat(long, str(at)) for at in starts[:20]])
    yield "text_of_5_MB", chats([_chat(corpus)])
    yield "one_letter_5_MB", chats([_chat("a" * 5_000_000)])
    yield "100_000_messages", chats([_chat(*(f"hello {i}" for i in range(100_000)))])
    image = {"type": "image_url", "image_url": {"url": url}}
    yield "image_of_20_MB", chats([_chat([image])])
    generated = {"type": "image_generation_call", "id": "ig_1", "result": png + data}
    item = {"model": MODEL, "input": [generated]}
    yield "generated_image_of_20_MB", [Request(item, RESPONSES)]
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    yield "document_of_20_MB", chats([_chat([{"type": "document", "source": source}])])
    yield (
        "like_data_urls_of_13_MB",
        chats([_chat([{"type": "x", "x": "data:;base64;" * 1_000_000}])]),
    )
    described = {"type": "string", "description": corpus}
    yield "tool_described_by_5_MB", chats([_chat("x", tools=_tool(described))])
    wide = {"type": "object", "properties": {f"property_{i}": {} for i in range(100_000)}}
    yield "tool_of_100_000_properties", chats([_chat("x", tools=_tool(wide))])
    digits = {"enum": [10**3_999 + i for i in range(2_900)]}
    yield "enum_of_2_900_huge_integers", chats([_chat("x", tools=_tool(digits))])
    yield "key_of_1_MB", chats([_chat("x", tools=_tool({"properties": {corpus[:1_000_000]: {}}}))])
    kinds = {"type": [f"t{i}" for i in range(32_000)], **{f"k{i}": 0 for i in range(32_000)}}
    function = {"name": "f", "parameters": {"properties": {"a": kinds}}}
    yield "function_of_32_000_types", chats([_chat("x", model=OLDER, functions=[function])])
    yield "metadata_of_1_000_000", chats([_chat("x", metadata=dict.fromkeys(range(1_000_000), 0))])
    yield "2_900_empty_messages", chats([_chat(*[None] * 2_900)])
    ids = {"model": "text-embedding-3-small", "input": list(range(300_000))}
    yield "300_000_token_ids", [Request(ids, EMBEDDINGS)]
    yield (
        "older_model_5_MB",
        [Request({"model": "text-davinci-003", "prompt": corpus}, COMPLETIONS)],
    )


async def _measure(requests: list[Request], vocabulary: Vocabulary) -> tuple[float, float, float]:
    limits = Limits(requests_per_minute=1e9, tokens_per_minute=1e12)
    counter = Counter(vocabulary=vocabulary)
    async with Dispatcher(AtOnce(), limits, counter=counter) as dispatcher:
        if vocabulary is SHARED:  # the first request of a model loads its vocabulary
            for model in {request.model for request in requests}:
                await dispatcher.submit(Request({"model": model, "messages": []}, CHAT))
        gc.collect()
        gc.freeze()
        async with Ticker() as ticker:
            started = time.perf_counter()
            for request in requests:
                await dispatcher.submit(request)
            total = time.perf_counter() - started
        gc.unfreeze()
    return ticker.cpu, ticker.gap, total


async def _idle() -> tuple[float, float, float]:
    async with Ticker() as ticker:
        await asyncio.sleep(0.2)
    return ticker.cpu, ticker.gap, 0.2


async def _first_request() -> tuple[float, float, float]:
    return await _measure([Request(_chat("hello"), CHAT)], Vocabulary())


def _summary(run: Callable[[], Any], repeats: int) -> dict[str, float]:
    figures = [asyncio.run(run()) for _ in range(repeats)]
    cpu, gap, total = (
        Spread.of([1e3 * value for value in values]) for values in zip(*figures, strict=True)
    )
    return {
        "loop_cpu_ms": round(cpu.median, 2),
        "loop_cpu_most_ms": round(cpu.most, 2),
        "gap_ms": round(gap.median, 2),
        "gap_most_ms": round(gap.most, 2),
        "total_ms": round(total.median, 1),
    }


def main() -> int:
    """Run everything and print the result; return 1 if a target is missed."""
    arguments = make_parser(__doc__, repeats=3, seed=SEED).parse_args()
    repeats = arguments.repeats
    surroundings = environment(arguments.seed)
    warnings.simplefilter("ignore")  # the older model's vocabulary may not be there
    cases = {
        name: _summary(partial(_measure, requests, SHARED), repeats)
        for name, requests in _cases(arguments.seed)
    }
    missed = [name for name, case in cases.items() if case["loop_cpu_ms"] > TARGET_MS]
    result = {
        "repeats": repeats,
        "switch_interval_ms": 1e3 * sys.getswitchinterval(),
        "idle": _summary(_idle, repeats),
        "cases": cases,
        "first_request": _summary(_first_request, repeats),
        "targets": {"loop_cpu_ms": TARGET_MS},
        "missed": missed,
        "is_on_target": not missed,
    }
    publish(arguments, surroundings, result, _text(result), caveats=[SHARED_MACHINE])
    return 1 if missed else 0


def _text(result: dict[str, Any]) -> str:
    figures = list(result["idle"])
    named = {"idle": result["idle"], **result["cases"], "first_request": result["first_request"]}
    rows = [[name, *(f"{case[figure]:.2f}" for figure in figures)] for name, case in named.items()]
    missed = ", ".join(result["missed"]) or "none"
    return f"{table([['', *figures], *rows])}\n\nAbove {TARGET_MS:g} ms of loop_cpu_ms: {missed}"


if __name__ == "__main__":
    sys.exit(main())
