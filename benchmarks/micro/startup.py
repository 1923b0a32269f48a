"""
How long a command takes to begin.

Seconds by the wall clock: `help` is `ratedispatch --help` from start to end; `first_request` is
from the start of `ratedispatch run` with a file of ten rows to the instant at which a server in
this process has its first request whole. Nothing is kept between rounds but what the system caches
of files; the first round, which may have to compile modules, is left out. `python` is the
interpreter alone.
Targets: 0.25 s for the help, 1.2 s to the first request.
Run: python -m benchmarks.micro.startup [--rounds N] [--json [FILE]]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import NOTHING, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


def _text(result: Mapping[str, Any]) -> str:
    rows = [["seconds", "median", "least", "most", "target"]]
    for name, spread in result["seconds"].items():
        target = f"{TARGETS[name]:.2f}" if name in TARGETS else NOTHING
        rows.append([name, *(f"{value:.3f}" for value in spread.values()), target])
    verdict = "met" if result["is_on_target"] else "MISSED"
    return f"{table(rows)}\n\nTargets, for the medians: {verdict}"


def main() -> int:
    """Run everything and print the result; return 1 if a target is missed."""
    arguments = make_parser(__doc__, repeats=7, flag="--rounds", seed=None).parse_args()
    surroundings = environment(None)
    with tempfile.TemporaryDirectory(prefix="ratedispatch-startup-") as name:
        begins: dict[str, Callable[[int], float]] = {
            "python": lambda _: _timed([sys.executable, "-c", ""]),
            "help": lambda _: _timed([*_PROGRAM, "--help"]),
            "first_request": lambda _: first_request(Path(name)),
        }
        found = interleave(begins, arguments.repeats + 1)
    seconds = {name: Spread.of(values[1:]).as_dict() for name, values in found.items()}
    result = {
        "rounds": arguments.repeats,
        "seconds": seconds,
        "targets": TARGETS,
        "is_on_target": all(seconds[name]["median"] <= most for name, most in TARGETS.items()),
    }
    publish(arguments, surroundings, result, _text(result), caveats=[SHARED_MACHINE])
    return 0 if result["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
