"""
A job over a file with a transport that answers at once, or a process that only reads files.

Run as a child: prints as JSON what it took, memory and processor time among it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
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
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.jobs.job_options import JobOptions
    from ratedispatch.jobs.plan.spending import Caps
    from ratedispatch.jobs.sink import Fsync

    transport = AtOnce()
    report = asyncio.run(
        rd.run_file(
            source,
            output,
            client=transport,
            limits=rd.Limits(1e9, 1e12),
            job_options=JobOptions(fsync=Fsync(fsync), caps=Caps(max_rows)),
            dispatcher_options=DispatcherOptions(max_in_flight=200),
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
    """Run this with *arguments* in a process of its own; return what it prints."""
    begin = time.time()  # noqa: TID251  (compared with an instant in the child)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.live.parts.job_child", *map(str, arguments)],
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


def main() -> None:
    """Do as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--max-rows", type=int)
    parser.add_argument("--fsync", default="interval")
    parser.add_argument("--read", type=Path, nargs="+")
    options = parser.parse_args()
    if options.job is not None:
        print(json.dumps(job(options.job, options.output, options.max_rows, options.fsync)))
    else:
        print(json.dumps(read(options.read)))


if __name__ == "__main__":
    main()
