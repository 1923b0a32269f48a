"""
How long a command takes to begin.

Prints one JSON object, seconds by the wall clock, medians and extremes over the rounds: `help` is
`ratedispatch --help` from start to end; `first_request` is from the start of `ratedispatch run`
with a file of ten rows to the instant at which a server in this process has its first request
whole. Nothing is kept between rounds but what the system caches of files; the first round, which
may have to compile modules, is left out. `python` is the interpreter alone.
Targets: 0.25 s for the help, 1.2 s to the first request.
Run: python -m benchmarks.micro.startup [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TARGETS = {"help": 0.25, "first_request": 1.2}

_PROGRAM = [sys.executable, "-m", "ratedispatch"]
_ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
    }
).encode()


class _Server(ThreadingHTTPServer):
    """Answers everything, and remembers when the first request was there."""

    daemon_threads = True
    first: float | None = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.server.first is None:
            self.server.first = time.perf_counter()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(_ANSWER)))
        self.end_headers()
        self.wfile.write(_ANSWER)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def _timed(words: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def first_request(folder: Path) -> float:
    """Return the seconds from the start of a small job to its first request."""
    rows = folder / "in.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for number in range(10):
            messages = [{"role": "user", "content": f"Is {number} a number?"}]
            body = {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 8}
            url = "/v1/chat/completions"
            row = {"custom_id": f"r-{number}", "method": "POST", "url": url, "body": body}
            file.write(json.dumps(row) + "\n")
    for path in folder.glob("out.jsonl*"):
        path.unlink()
    with _Server(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        command = [*_PROGRAM, "run", str(rows), "-o", str(folder / "out.jsonl"), "--quiet"]
        begin = time.perf_counter()
        subprocess.run(
            [*command, "--rpm", "600", "--tpm", "1M", "--base-url", base_url],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OPENAI_API_KEY": "any"},
        )
        server.shutdown()
    assert server.first is not None
    return server.first - begin


def _spread(values: list[float]) -> dict[str, float]:
    named = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 3) for name, value in named.items()}


def main() -> None:
    """Run everything and print the result; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="time how long a command takes to begin")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {"python": [], "help": [], "first_request": []}
    with tempfile.TemporaryDirectory(prefix="ratedispatch-startup-") as name:
        for _ in range(arguments.rounds + 1):
            found["python"].append(_timed([sys.executable, "-c", ""]))
            found["help"].append(_timed([*_PROGRAM, "--help"]))
            found["first_request"].append(first_request(Path(name)))
    seconds = {name: _spread(values[1:]) for name, values in found.items()}
    is_on_target = all(seconds[name]["median"] <= most for name, most in TARGETS.items())
    result = {
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processors": os.cpu_count(),
        },
        "rounds": arguments.rounds,
        "seconds": seconds,
        "targets": TARGETS,
        "is_on_target": is_on_target,
    }
    print(json.dumps(result, indent=2))
    sys.exit(0 if is_on_target else 1)


if __name__ == "__main__":
    main()
