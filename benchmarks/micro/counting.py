"""
What counting costs, against tiktoken alone on the same texts.

Times are CPU seconds of this process (loading: of fresh ones), the median of the repeats beside the
least and the most; ratios are medians over the repeats, in each of which the bare
`encode_ordinary` is timed next to ours, so that a busy machine slows both.
Texts are slices of Python's own help texts, drawn with a fixed seed; every repeat counts newly
parsed strings with an empty memory.
Run: python -m benchmarks.micro.counting [--rows N] [--repeats N] [--json [FILE]]
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.spread import Spread, ratios
from benchmarks.frame.tables import outline
from benchmarks.frame.texts import bare_encoder, prose
from ratedispatch.tokens import Counter
from ratedispatch.tokens.vocabulary import RECIPES, packaged_ranks, published_form

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20
MODEL = "gpt-4o-mini"
BLOB = "https://openaipublic.blob.core.windows.net/encodings/"

# the imports of both stand outside: what is compared is reading, checking and building
_OURS = """
import time, tiktoken
from ratedispatch.tokens import count_tokens
started = time.process_time()
count_tokens({"model": MODEL, "messages": [{"role": "user", "content": "hello"}]})
print(time.process_time() - started)
"""
_TIKTOKEN = """
import time, tiktoken
import ratedispatch.tokens
started = time.process_time()
len(tiktoken.get_encoding(ENCODING).encode_ordinary("hello"))
print(time.process_time() - started)
"""


def _rows(count: int, tokens: int, system: str, seed: int) -> tuple[list[str], float]:
    """Return *count* request bodies as JSON text and the mean tokens of their contents."""
    encode = bare_encoder()
    corpus, rng = prose(), random.Random(seed)
    length = round(tokens * len(corpus) / len(encode(corpus)))
    lines, total = [], 0
    for _ in range(count):
        start = rng.randrange(len(corpus) - length)
        content = corpus[start : start + length]
        total += len(encode(content))
        messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
        lines.append(json.dumps({"model": MODEL, "messages": messages}))
    return lines, total / count


def _bare(rows: list[dict[str, Any]]) -> float:
    encode = bare_encoder()
    started = time.process_time()
    for row in rows:
        for message in row["messages"]:
            len(encode(message["content"]))
    return time.process_time() - started


def _each(work: Callable[[dict[str, Any]], object], rows: list[dict[str, Any]]) -> float:
    started = time.process_time()
    for row in rows:
        work(row)
    return time.process_time() - started


def _compare(lines: list[str], repeats: int) -> dict[str, Any]:
    ways: dict[str, Callable[[list[dict[str, Any]]], float]] = {
        "bare": _bare,
        "count": lambda rows: _each(Counter().count, rows),
        "estimate": lambda rows: _each(Counter().estimate, rows),
    }
    # parsed anew for each, as a job does: a string that was met before is already hashed
    runs = {
        name: lambda _, way=way: way([json.loads(line) for line in lines])
        for name, way in ways.items()
    }
    return _summary(interleave(runs, repeats))


def _summary(times: dict[str, list[float]]) -> dict[str, Any]:
    summary: dict[str, Any] = {
        name: {f"{key}_s": value for key, value in Spread.of(values).as_dict(4).items()}
        for name, values in times.items()
    }
    for name, ratio in ratios(times, "bare").items():
        summary[name] |= {"ratio": round(ratio.median, 3), "ratio_most": round(ratio.most, 3)}
    return summary


def _load(encoding: str, model: str, repeats: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as cache:
        name = hashlib.sha1(f"{BLOB}{encoding}.tiktoken".encode()).hexdigest()
        ranks = published_form(packaged_ranks(RECIPES[encoding].ranks))
        (Path(cache) / name).write_bytes(ranks)
        surroundings = os.environ | {"TIKTOKEN_CACHE_DIR": cache}

        def start(code: str) -> float:
            command = [sys.executable, "-c", code]
            out = subprocess.run(
                command, env=surroundings, check=True, capture_output=True, text=True
            )
            return float(out.stdout)

        theirs = _TIKTOKEN.replace("ENCODING", repr(encoding))
        ours = _OURS.replace("MODEL", repr(model))
        runs = {"bare": lambda _: start(theirs), "first_count": lambda _: start(ours)}
        return _summary(interleave(runs, repeats))


def main() -> int:
    """Run everything and print the result."""
    parser = make_parser(__doc__, repeats=5, seed=SEED)
    parser.add_argument("--rows", type=positive, default=20_000, metavar="N")
    arguments = parser.parse_args()
    surroundings, repeats = environment(arguments.seed), arguments.repeats
    own, own_tokens = _rows(arguments.rows, 200, "You are a helpful assistant.", arguments.seed)
    system = prose()[:4_500]
    shared, shared_tokens = _rows(arguments.rows, 200, system, arguments.seed)
    result = {
        "rows": arguments.rows,
        "repeats": repeats,
        "own_texts": {"tokens_per_row": own_tokens, **_compare(own, repeats)},
        "shared_system_prompt": {
            "tokens_per_row": shared_tokens,
            "system_tokens": len(bare_encoder()(system)),
            **_compare(shared, repeats),
        },
        "load_o200k_base": _load("o200k_base", "gpt-4o", repeats),
        "load_cl100k_base": _load("cl100k_base", "gpt-4", repeats),
    }
    publish(arguments, surroundings, result, outline(result), caveats=[SHARED_MACHINE])
    return 0


if __name__ == "__main__":
    sys.exit(main())
