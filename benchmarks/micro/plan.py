"""
What `ratedispatch plan` takes: rows a second, and memory against a small file.

Each run is a process of its own, as people start it. CPU seconds are those
of the process; start-up is the same command on a file of one row, and is taken off. The targets
are at least 10,000 rows a second on one core, and a peak memory (ru_maxrss) within 20 MB of that
on 1,000 rows. `bare_rows_per_cpu_second` is the ceiling: `json.loads` and `encode_ordinary` of
tiktoken on the same file, and nothing else. Beside it stand the parts of the work, each alone on
1,000 rows: parsing with `json`, with `orjson` if it is there (it is no dependency), counting, ….
Texts are slices of Python's own help texts and source code, drawn with a fixed seed; no two rows
are alike, but for one short system prompt.
Run: python -m benchmarks.micro.plan [--rows N] [--runs N] [--seed N] [--json [FILE]]
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import random
import subprocess
import sys
import tempfile
import textwrap
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import cpu_seconds, interleave
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import outline
from benchmarks.frame.texts import bare_encoder, prose
from ratedispatch.jobs.batchfile import parse_line, quick_name
from ratedispatch.tokens import Counter

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
    return prose() + "\n".join(map(inspect.getsource, (argparse, subprocess, textwrap, tempfile)))


def rows(count: int, seed: int = SEED) -> Iterator[str]:
    """Yield *count* lines in Batch format, of about 200 tokens each."""
    corpus, rng = _corpus(), random.Random(seed)
    # the row as a whole: some 20 of the tokens are the system prompt, the number and the frame
    length = round((TOKENS - 25) * len(corpus) / len(bare_encoder()(corpus)))
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
    main(["plan", sys.argv[1], "--rpm", "30k", "--tpm", "10M", "--json", "--quiet", "--no-memory"])
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


def _at(path: Path, _: int) -> dict[str, Any]:
    return _run(path)


def _bare(path: Path) -> float:
    """Return the rows a CPU second of the least that could be done: parse, and tokenize."""
    encode = bare_encoder()
    count, started = 0, time.process_time()
    with path.open("rb") as file:
        for count, line in enumerate(file, 1):  # noqa: B007  (the last one is the count)
            len(encode(json.loads(line)["body"]["messages"][1]["content"]))
    return count / (time.process_time() - started)


def _parts(lines: list[bytes]) -> dict[str, float]:
    """Return microseconds a row of each part of the work, alone."""
    contents = [json.loads(line)["body"]["messages"][1]["content"] for line in lines]
    bodies = [json.loads(line)["body"] for line in lines]
    encode, counter = bare_encoder(), Counter(memory=2_000_000)
    parts: dict[str, Callable[[], object]] = {
        "json_loads": lambda: [json.loads(line) for line in lines],
        "parse_line": lambda: [parse_line(line, 1) for line in lines],
        "tiktoken_alone": lambda: [len(encode(content)) for content in contents],
        "counter_estimate": lambda: [counter.estimate(body, explain=True) for body in bodies],
        "custom_id_found": lambda: [quick_name(line) for line in lines],
    }
    try:
        orjson = importlib.import_module("orjson")
    except ImportError:
        pass
    else:
        parts["orjson_loads"] = lambda: [orjson.loads(line) for line in lines]
    return {name: round(cpu_seconds(part) / len(lines) * 1e6, 2) for name, part in parts.items()}


def main() -> int:
    """Run everything and print the result; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=3, flag="--runs", seed=SEED)
    parser.add_argument("--rows", type=positive, default=100_000, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        large, small, one = (Path(folder) / name for name in ("large", "small", "one"))
        with large.open("w", encoding="utf-8") as file:
            file.writelines(f"{row}\n" for row in rows(arguments.rows, arguments.seed))
        with large.open("rb") as file:
            head = [next(file) for _ in range(min(SMALL, arguments.rows))]
        small.write_bytes(b"".join(head))
        one.write_bytes(head[0])
        ways: dict[str, Callable[[int], Any]] = {
            path.name: partial(_at, path) for path in (one, small, large)
        }
        runs = interleave({**ways, "bare": lambda _: _bare(large)}, arguments.repeats)
        size = large.stat().st_size
    speeds, walls, excess = [], [], []
    for least, few, many in zip(runs["one"], runs["small"], runs["large"], strict=True):
        count = many["rows"] - 1
        speeds.append(count / (many["cpu_s"] - least["cpu_s"]))
        walls.append(count / (many["wall_s"] - least["wall_s"]))
        excess.append((many["maxrss_kb"] - few["maxrss_kb"]) / 1024)
    speed, beyond = Spread.of(speeds), Spread.of(excess)
    is_on_target = speed.median >= ROWS_A_SECOND and beyond.median <= MEGABYTES
    first = runs["large"][0]
    result = {
        "rows": arguments.rows,
        "bytes": size,
        "tokens_per_row": first["tokens"] / first["rows"],
        "rows_per_cpu_second": speed.as_dict(),
        "rows_per_wall_second": Spread.of(walls).as_dict(),
        "bare_rows_per_cpu_second": Spread.of(runs["bare"]).as_dict(),
        "startup_cpu_s": Spread.of([run["cpu_s"] for run in runs["one"]]).as_dict(),
        "total_cpu_s": Spread.of([run["cpu_s"] for run in runs["large"]]).as_dict(),
        "maxrss_mb": Spread.of([run["maxrss_kb"] / 1024 for run in runs["large"]]).as_dict(),
        "maxrss_beyond_1000_rows_mb": beyond.as_dict(),
        "parts_us_per_row": _parts(head),
        "targets": {"rows_per_cpu_second": ROWS_A_SECOND, "beyond_1000_rows_mb": MEGABYTES},
        "is_on_target": is_on_target,
    }
    publish(arguments, surroundings, result, outline(result), caveats=[SHARED_MACHINE])
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
