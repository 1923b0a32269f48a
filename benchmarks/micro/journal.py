"""
What writing a result down costs: making its line, and appending it to the file.

Microseconds of processor time for an answer of about 200 tokens (`--characters` long). Making:
`dumps` is `json.dumps` of the answer's body alone and the base of the ratios, `line` is
`outcome_line`, which puts the row's name around it. Appending: `write` hands the same bytes to a
file of Python with its usual buffer and is the base; `append` gives them to a `LineSink`, with a
flush at the end, after every 100 lines, or after each. Opening and closing, with the one `fsync`
of a job, are within, spread over `--lines`.
Run: python -m benchmarks.micro.journal [--repeats N] [--lines N] [--characters N] [--json [FILE]]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import costs
from benchmarks.frame.tables import compared
from benchmarks.frame.texts import prose
from ratedispatch.jobs.batchfile import outcome_line
from ratedispatch.jobs.sink import LineSink
from ratedispatch.outcome import Completed, Response
from ratedispatch.request import CHAT, Cost, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MODEL = "gpt-4o-mini"

_CAVEATS = (
    SHARED_MACHINE,
    "processor time only: what the disk takes to write is not in it",
)


def outcomes(count: int, characters: int, seed: int) -> list[Completed]:
    """Return *count* answers whose texts are *characters* long and all different."""
    corpus, rng = prose(), random.Random(seed)
    found = []
    for row in range(1, count + 1):
        start = rng.randrange(len(corpus) - characters)
        message = {"role": "assistant", "content": corpus[start : start + characters]}
        body = {
            "id": f"chatcmpl-{row:029d}",
            "object": "chat.completion",
            "created": 1_795_428_000 + row,
            "model": f"{_MODEL}-2024-07-18",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 200, "completion_tokens": 200, "total_tokens": 400},
            "system_fingerprint": "fp_0123456789",
        }
        request = Request({"model": _MODEL, "messages": []}, CHAT, f"row-{row}", row)
        response = Response(200, {"x-request-id": f"req_{row:032x}"}, body)
        found.append(Completed(request, response, Cost(200, 200)))
    return found


def _write(path: Path, lines: Sequence[bytes]) -> None:
    with path.open("wb") as file:
        for line in lines:
            file.write(line)


def append_all(path: Path, lines: Sequence[bytes], every: int | None) -> None:
    """Append *lines* to an empty file, with a flush after *every* so many, and at the end."""
    path.unlink(missing_ok=True)
    sink = LineSink(path)
    for number, line in enumerate(lines, start=1):
        sink.append(line)
        if every is not None and number % every == 0:
            sink.flush()
    sink.close()


def main() -> int:
    """Run everything and print the result."""
    parser = make_parser(__doc__, repeats=7)
    parser.add_argument("--lines", type=positive, default=5_000, metavar="N")
    parser.add_argument("--characters", type=positive, default=850, metavar="N", help="an answer")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    answers = outcomes(arguments.lines, arguments.characters, arguments.seed)
    lines = [outcome_line(answer) for answer in answers]
    bodies = [answer.body for answer in answers]
    making: dict[str, Callable[[], object]] = {
        "dumps": lambda: [json.dumps(body) for body in bodies],
        "line": lambda: [outcome_line(answer) for answer in answers],
    }
    with tempfile.TemporaryDirectory(prefix="ratedispatch-benchmark-") as folder:
        path = Path(folder) / "out.jsonl"
        appending: dict[str, Callable[[], object]] = {
            "write": partial(_write, path, lines),
            "append": partial(append_all, path, lines, None),
            "append_flush_100": partial(append_all, path, lines, 100),
            "append_flush_1": partial(append_all, path, lines, 1),
        }
        # in the same rounds, so that making and appending can be added up
        measured = costs({**making, **appending}, len(lines), arguments.repeats)
    made, making_text = compared({name: measured[name] for name in making}, "dumps", "µs a line")
    kept, keeping_text = compared(
        {name: measured[name] for name in appending}, "write", "µs a line"
    )
    result = {
        "repeats": arguments.repeats,
        "lines": len(lines),
        "bytes_per_line": round(sum(map(len, lines)) / len(lines), 1),
        "making": made,
        "appending": kept,
    }
    publish(
        arguments,
        surroundings,
        result,
        f"{making_text}\n\n{keeping_text}\n\n{result['bytes_per_line']:,.0f} bytes a line",
        caveats=_CAVEATS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
