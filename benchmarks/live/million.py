"""
A million rows: what a job takes in memory, and what it takes to go on with one that is nearly done.

Every run is a process of its own, on a file of rows of about a hundred tokens, with a transport in
the process that answers at once: what is measured is the job, not a network. Memory is the peak
of the process, against the same on a twentieth of the rows. Then a job of which 99 % is done is
started again, and measured until its first request; beside it, a process that reads the same two
files line by line and does nothing with them.

    python -m benchmarks.live.million --rows 1000000 --json million.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.outcome import Response
    from ratedispatch.request import Request

#: Words of a row, so that it is about a hundred tokens.
_LENGTH = 85
_WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")

_DONE_SHARE = 0.99
_SMALLER = 20


def write_rows(path: Path, count: int, seed: int) -> None:
    """Write *count* rows in OpenAI's Batch format."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            text = f"{number}: {' '.join(rng.choices(_WORDS, k=_LENGTH))}"
            body = {
                "model": "gpt-4o-mini",
                "messages": [{"role": "user", "content": text}],
                "max_tokens": 16,
            }
            line = {
                "custom_id": f"row-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": body,
            }
            file.write(json.dumps(line) + "\n")


class AtOnce:
    """A transport that answers at once."""

    base_url = None

    def __init__(self) -> None:
        self.first: float | None = None

    async def send(self, request: Request, timeout: float) -> Response:
        """Answer *request*."""
        from ratedispatch.outcome import Response

        del timeout
        if self.first is None:
            self.first = time.time()  # noqa: TID251  (compared with the start of the process)
        await asyncio.sleep(0)
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        message = {"role": "assistant", "content": f"answer to {request.custom_id}"}
        body = {"id": "chatcmpl-1", "choices": [{"index": 0, "message": message}], "usage": usage}
        return Response(200, {"x-request-id": "req-1"}, body)


def job(source: Path, output: Path, max_rows: int | None, fsync: str) -> dict[str, Any]:
    """Run the job in this process, and tell what it took."""
    import ratedispatch as rd
    from ratedispatch.jobs.caps import Caps
    from ratedispatch.jobs.job import JobOptions
    from ratedispatch.jobs.sink import Fsync

    transport = AtOnce()
    report = asyncio.run(
        rd.run_file(
            source,
            output,
            client=transport,
            limits=rd.Limits(1e9, 1e12),
            max_in_flight=200,
            caps=Caps(max_rows),
            job_options=JobOptions(fsync=Fsync(fsync)),
        )
    )
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "answered": report.answered,
        "sent": report.attempts,
        "seconds": report.seconds,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_mb": usage.ru_maxrss / 1024,
        "first_sent_at": transport.first,
    }


def read(paths: Sequence[Path]) -> dict[str, Any]:
    """Read *paths* line by line in this process, and tell what it took."""
    lines = 0
    for path in paths:
        with path.open("rb") as file:
            for _ in file:
                lines += 1
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"lines": lines, "cpu_s": usage.ru_utime + usage.ru_stime}


def child(*arguments: object) -> dict[str, Any]:
    """Run this module with *arguments* in a process of its own; return what it prints."""
    begin = time.time()  # noqa: TID251  (compared with an instant in the child)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.live.million", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    if found.get("first_sent_at") is not None:
        found["first_request_s"] = found.pop("first_sent_at") - begin
    return found


def measure(rows: int, seed: int) -> dict[str, Any]:
    """Return what a job of *rows* takes, one of fewer, and one that is nearly done."""
    found: dict[str, Any] = {"rows": rows, "seed": seed}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small.jsonl", folder / "large.jsonl"
        write_rows(small, rows // _SMALLER, seed)
        write_rows(large, rows, seed)
        output = folder / "out.jsonl"
        found["small"] = child("--job", small, "--output", folder / "small.out.jsonl")
        found["large"] = child(
            "--job", large, "--output", output, "--max-rows", int(rows * _DONE_SHARE)
        )
        found["reading"] = child("--read", large, output)
        found["resumed"] = child("--job", large, "--output", output)
        found["finished"] = child("--job", large, "--output", output)
    found["rss_difference_mb"] = found["large"]["peak_rss_mb"] - found["small"]["peak_rss_mb"]
    found["resume_cpu_ratio"] = found["finished"]["cpu_s"] / found["reading"]["cpu_s"]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--max-rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--fsync", default="interval", help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job is not None:
        print(json.dumps(job(options.job, options.output, options.max_rows, options.fsync)))
        return 0
    if options.read is not None:
        print(json.dumps(read(options.read)))
        return 0
    found = measure(options.rows, options.seed)
    print(json.dumps(found, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
