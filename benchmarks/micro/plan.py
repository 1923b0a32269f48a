"""
What `ratedispatch plan` takes: rows a second, and memory against a small file.

Prints one JSON object. Each run is a process of its own, as people start it. CPU seconds are those
of the process; start-up is the same command on a file of one row, and is taken off. The targets
are at least 10,000 rows a second on one core, and a peak memory (ru_maxrss) within 20 MB of that
on 1,000 rows. `bare_rows_per_cpu_second` is the ceiling: `json.loads` and `encode_ordinary` of
tiktoken on the same file, and nothing else. Beside it stand the parts of the work, each alone on
1,000 rows: parsing with `json`, with `orjson` if it is there (it is no dependency), counting, ….
Texts are slices of Python's own help texts and source code, drawn with a fixed seed; no two rows
are alike, but for one short system prompt.
Run: python -m benchmarks.micro.plan [--rows N] [--runs N]
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from importlib.metadata import version
from pathlib import Path
from pydoc_data.topics import topics
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.batchfile import parse_line
from ratedispatch.jobs.names import NameSet
from ratedispatch.tokens import Counter
from ratedispatch.tokens.vocabulary import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 7
MODEL = "gpt-4o-mini"
SYSTEM = "You document Python code, tersely and exactly."
TOKENS = 200
SMALL = 1_000
ROWS_A_SECOND = 10_000
MEGABYTES = 20


def _corpus() -> str:
    prose = " ".join(" ".join(topics.values()).split())
    return prose + "\n".join(map(inspect.getsource, (argparse, subprocess, textwrap, tempfile)))


def _encode() -> Callable[[str], list[int]]:
    encoding = SHARED.encoding("o200k_base")
    assert encoding is not None
    return encoding.encode_ordinary


def rows(count: int) -> Iterator[str]:
    """Yield *count* lines in Batch format, of about 200 tokens each."""
    corpus, rng = _corpus(), random.Random(SEED)
    # the row as a whole: some 20 of the tokens are the system prompt, the number and the frame
    length = round((TOKENS - 25) * len(corpus) / len(_encode()(corpus)))
    for number in range(count):
        start = rng.randrange(len(corpus) - length)
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"{number}: {corpus[start : start + length]}"},
        ]
        body = {"model": MODEL, "messages": messages, "max_completion_tokens": 100}
        row = {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions"}
        yield json.dumps({**row, "body": body})


# the child reports on itself: ru_maxrss of a parent is that of its largest child so far
_CHILD = """
import json, resource, sys, time
from ratedispatch.cli import main
started = time.perf_counter()
try:
    main(["plan", sys.argv[1], "--rpm", "30k", "--tpm", "10M", "--json", "--quiet"])
except SystemExit as end:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss
    result = {"cpu_s": cpu, "wall_s": time.perf_counter() - started, "maxrss_kb": memory}
    print(json.dumps({**result, "exit": end.code}), file=sys.stderr)
"""


def _run(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    result: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    plan = json.loads(done.stdout)
    assert result["exit"] == 0
    return {**result, "rows": plan["sendable_rows"], "tokens": plan["tokens"]["prompt"]}


def _bare(path: Path) -> float:
    """Return the rows a CPU second of the least that could be done: parse, and tokenize."""
    encode = _encode()
    count, started = 0, time.process_time()
    with path.open("rb") as file:
        for count, line in enumerate(file, 1):  # noqa: B007  (the last one is the count)
            len(encode(json.loads(line)["body"]["messages"][1]["content"]))
    return count / (time.process_time() - started)


def _parts(lines: list[bytes]) -> dict[str, float]:
    """Return microseconds a row of each part of the work, alone."""
    requests = [parse_line(line, number) for number, line in enumerate(lines, 1)]
    contents = [json.loads(line)["body"]["messages"][1]["content"] for line in lines]
    bodies = [json.loads(line)["body"] for line in lines]
    names = [request.custom_id or "" for request in requests]
    encode, counter, known = _encode(), Counter(memory=2_000_000), NameSet()
    parts: dict[str, Callable[[], object]] = {
        "json_loads": lambda: [json.loads(line) for line in lines],
        "parse_line": lambda: [parse_line(line, 1) for line in lines],
        "tiktoken_alone": lambda: [len(encode(content)) for content in contents],
        "counter_estimate": lambda: [counter.estimate(body, explain=True) for body in bodies],
        "custom_id_known": lambda: [known.add(name) for name in names],
    }
    try:
        orjson = importlib.import_module("orjson")
    except ImportError:
        pass
    else:
        parts["orjson_loads"] = lambda: [orjson.loads(line) for line in lines]
    result = {}
    for name, part in parts.items():
        started = time.process_time()
        part()
        result[name] = round((time.process_time() - started) / len(lines) * 1e6, 2)
    return result


def main() -> None:
    """Run everything and print the result; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="time ratedispatch plan")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large, small, one = (Path(folder) / name for name in ("large", "small", "one"))
        with large.open("w", encoding="utf-8") as file:
            file.writelines(f"{row}\n" for row in rows(arguments.rows))
        with large.open("rb") as file:
            head = [next(file) for _ in range(min(SMALL, arguments.rows))]
        small.write_bytes(b"".join(head))
        one.write_bytes(head[0])
        runs = [
            {path.name: _run(path) for path in (one, small, large)} for _ in range(arguments.runs)
        ]
        size = large.stat().st_size
        bare = [_bare(large) for _ in range(arguments.runs)]
    speeds, walls, excess = [], [], []
    for run in runs:
        count = run["large"]["rows"] - 1
        speeds.append(count / (run["large"]["cpu_s"] - run["one"]["cpu_s"]))
        walls.append(count / (run["large"]["wall_s"] - run["one"]["wall_s"]))
        excess.append((run["large"]["maxrss_kb"] - run["small"]["maxrss_kb"]) / 1024)
    result = {
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "tiktoken": version("tiktoken"),
        },
        "seed": SEED,
        "rows": arguments.rows,
        "bytes": size,
        "tokens_per_row": runs[0]["large"]["tokens"] / runs[0]["large"]["rows"],
        "rows_per_cpu_second": _spread(speeds),
        "rows_per_wall_second": _spread(walls),
        "bare_rows_per_cpu_second": _spread(bare),
        "startup_cpu_s": _spread([run["one"]["cpu_s"] for run in runs]),
        "total_cpu_s": _spread([run["large"]["cpu_s"] for run in runs]),
        "maxrss_mb": _spread([run["large"]["maxrss_kb"] / 1024 for run in runs]),
        "maxrss_beyond_1000_rows_mb": _spread(excess),
        "parts_us_per_row": _parts(head),
        "targets": {"rows_per_cpu_second": ROWS_A_SECOND, "beyond_1000_rows_mb": MEGABYTES},
        "is_on_target": statistics.median(speeds) >= ROWS_A_SECOND
        and statistics.median(excess) <= MEGABYTES,
    }
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["is_on_target"] else 1)


def _spread(values: list[float]) -> dict[str, float]:
    middle = statistics.median(values)
    named = {"median": middle, "least": min(values), "most": max(values)}
    return {name: round(value, 3) for name, value in named.items()}


if __name__ == "__main__":
    main()
