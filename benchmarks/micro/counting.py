"""
What counting costs, against tiktoken alone on the same texts.

Prints one JSON object. Times are CPU seconds of this process (loading: of fresh ones), the median
of the repeats beside the least and the most; ratios are medians over the repeats, in each of
which the bare `encode_ordinary` is timed next to ours, so that a busy machine slows both.
Texts are slices of Python's own help texts, drawn with a fixed seed; every repeat counts newly
parsed strings with an empty memory.
Run: python -m benchmarks.micro.counting [--rows N] [--repeats N]
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from pydoc_data.topics import topics
from typing import TYPE_CHECKING, Any

import ratedispatch.tokens
from ratedispatch.tokens import Counter
from ratedispatch.tokens.vocabulary import SHARED

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


def _corpus() -> str:
    # the dictionary's order is fixed; runs of blanks are the layout of a terminal, not of prose
    return " ".join(" ".join(topics.values()).split())


def _rows(count: int, tokens: int, system: str) -> tuple[list[str], float]:
    """Return *count* request bodies as JSON text and the mean tokens of their contents."""
    encode = _encode()
    corpus, rng = _corpus(), random.Random(SEED)
    length = round(tokens * len(corpus) / len(encode(corpus)))
    lines, total = [], 0
    for _ in range(count):
        start = rng.randrange(len(corpus) - length)
        content = corpus[start : start + length]
        total += len(encode(content))
        messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
        lines.append(json.dumps({"model": MODEL, "messages": messages}))
    return lines, total / count


def _encode() -> Callable[[str], list[int]]:
    encoding = SHARED.encoding("o200k_base")
    assert encoding is not None
    return encoding.encode_ordinary


def _bare(rows: list[dict[str, Any]]) -> float:
    encode = _encode()
    started = time.process_time()
    for row in rows:
        for message in row["messages"]:
            len(encode(message["content"]))
    return time.process_time() - started


def _counted(rows: list[dict[str, Any]]) -> float:
    count = Counter().count
    started = time.process_time()
    for row in rows:
        count(row)
    return time.process_time() - started


def _estimated(rows: list[dict[str, Any]]) -> float:
    estimate = Counter().estimate
    started = time.process_time()
    for row in rows:
        estimate(row)
    return time.process_time() - started


def _compare(lines: list[str], repeats: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {"bare": [], "count": [], "estimate": []}
    for _ in range(repeats):
        for name, run in (("bare", _bare), ("count", _counted), ("estimate", _estimated)):
            times[name].append(run([json.loads(line) for line in lines]))
    return _summary(times)


def _summary(times: dict[str, list[float]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for name, values in times.items():
        summary[name] = {
            "median_s": round(statistics.median(values), 4),
            "least_s": round(min(values), 4),
            "most_s": round(max(values), 4),
        }
        if name != "bare":
            # each repeat against the bare run beside it, since a busy machine drifts
            ratios = [value / bare for value, bare in zip(values, times["bare"], strict=True)]
            summary[name]["ratio"] = round(statistics.median(ratios), 3)
            summary[name]["ratio_most"] = round(max(ratios), 3)
    return summary


def _load(encoding: str, model: str, repeats: int) -> dict[str, Any]:
    packaged = Path(ratedispatch.tokens.__file__).parent / "data"
    times: dict[str, list[float]] = {"bare": [], "first_count": []}
    with tempfile.TemporaryDirectory() as cache:
        name = hashlib.sha1(f"{BLOB}{encoding}.tiktoken".encode()).hexdigest()
        ranks = gzip.decompress((packaged / f"{encoding}.tiktoken.gz").read_bytes())
        (Path(cache) / name).write_bytes(ranks)
        environment = os.environ | {"TIKTOKEN_CACHE_DIR": cache}
        theirs = _TIKTOKEN.replace("ENCODING", repr(encoding))
        ours = _OURS.replace("MODEL", repr(model))
        for _ in range(repeats):
            for key, code in (("bare", theirs), ("first_count", ours)):
                out = subprocess.run(
                    [sys.executable, "-c", code],
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                )
                times[key].append(float(out.stdout))
    return _summary(times)


def main() -> None:
    """Run everything and print the result."""
    parser = argparse.ArgumentParser(description="time counting against tiktoken alone")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    own, own_tokens = _rows(arguments.rows, 200, "You are a helpful assistant.")
    system = _corpus()[:4_500]
    shared, shared_tokens = _rows(arguments.rows, 200, system)
    result = {
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "tiktoken": version("tiktoken"),
        },
        "seed": SEED,
        "rows": arguments.rows,
        "repeats": arguments.repeats,
        "own_texts": {"tokens_per_row": own_tokens, **_compare(own, arguments.repeats)},
        "shared_system_prompt": {
            "tokens_per_row": shared_tokens,
            "system_tokens": len(_encode()(system)),
            **_compare(shared, arguments.repeats),
        },
        "load_o200k_base": _load("o200k_base", "gpt-4o", arguments.repeats),
        "load_cl100k_base": _load("cl100k_base", "gpt-4", arguments.repeats),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
