"""
Where the processor time of a job goes, by room of the house.

Runs ``ratedispatch run`` in this process against a fake server in another, and looks every
millisecond of processor time (user and system, by ``SIGPROF``) at what is being done. The
innermost frame that belongs to a room counts; what a library does counts for the room that called
it. Python looks at signals between two of its own steps, so the time of a call into C counts where
it was made. Not on Windows.

Run it with ``python -m benchmarks.live.where [--requests N] [--in-flight N]``; it prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.frame.environment import environment
from benchmarks.live.workload import even
from ratedispatch.cli import main as program
from ratedispatch.testing.child import FakeServerProcess

if TYPE_CHECKING:
    from types import FrameType

_PERIOD = 0.001

#: The room of a file; the first that fits.
_ROOMS = (
    ("start-up", r"importlib|tokens/vocabulary"),
    ("counting", r"ratedispatch/tokens/"),
    ("providers", r"ratedispatch/providers/"),
    ("budget", r"ratedispatch/(budget|mirror|buckets|evidence|bracket|pauses|verdict|lane)\.py"),
    ("transport", r"ratedispatch/(transports/|jsontext)|/aiohttp/"),
    ("files", r"ratedispatch/(jobs|inputs)/"),
    ("dispatcher", r"ratedispatch/\w+\.py"),
    ("event loop", r"/asyncio/|uvloop"),
)


class Sampler:
    """Counts the rooms in which the processor is found."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._rooms: dict[str, str | None] = {}

    def __call__(self, _number: int, frame: FrameType | None) -> None:
        """Take a sample: a handler of a signal."""
        room = None
        while frame is not None:
            here = self._room(frame.f_code.co_filename)
            if here == "start-up":  # whatever it was imported for
                room = here
                break
            room = room or here
            frame = frame.f_back
        self.found[room or "other"] += 1

    def _room(self, path: str) -> str | None:
        if path not in self._rooms:
            self._rooms[path] = next(
                (name for name, files in _ROOMS if re.search(files, path)), None
            )
        return self._rooms[path]


def main() -> None:
    """Run the job and print where its time went."""
    parser = argparse.ArgumentParser(description="tell where the processor time of a job goes")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sampler = Sampler()
    os.environ["OPENAI_API_KEY"] = "any"
    with tempfile.TemporaryDirectory(prefix="ratedispatch-where-") as name:
        folder = Path(name)
        even(arguments.requests, arguments.seed).write(folder / "in.jsonl")
        with FakeServerProcess("--latency", "0.02", "--latency-sigma", "0") as server:
            words = ["run", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"), "--quiet"]
            words += ["--rpm", "100M", "--tpm", "100G", "--base-url", server.base_url]
            words += ["--max-in-flight", str(arguments.in_flight)]
            signal.signal(signal.SIGPROF, sampler)
            before = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, _PERIOD, _PERIOD)
            try:
                program(words, standalone_mode=False)
            except SystemExit as ended:
                if ended.code:
                    raise
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            cpu = time.process_time() - before
    samples = sum(sampler.found.values())
    per_request = 1e6 * cpu / arguments.requests
    rooms = {
        room: {"share": round(count / samples, 3), "us": round(per_request * count / samples, 1)}
        for room, count in sampler.found.most_common()
    }
    result = {
        **environment(arguments.seed),
        "requests": arguments.requests,
        "in_flight": arguments.in_flight,
        "cpu_us_per_request": round(per_request, 1),
        "samples": samples,
        "rooms": rooms,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
