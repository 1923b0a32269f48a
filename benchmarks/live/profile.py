"""
Where the processor time of a job goes, by room of the house.

Runs ``ratedispatch run`` in a process of its own against a fake server in another, and looks every
millisecond of processor time (user and system, by ``SIGPROF``) at what is being done. The
innermost frame that belongs to a room counts; what a library does counts for the room that called
it. Python looks at signals between two of its own steps, so the time of a call into C counts where
it was made. Shares are those of the samples of all runs together. Not on Windows.

Run it with ``python -m benchmarks.live.profile [--requests N] [--in-flight N] [--runs N]
[--json [FILE]]``.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import table
from benchmarks.frame.workload import even
from benchmarks.live.parts.subprocess_call import call_in_subprocess
from ratedispatch.cli import main as program
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

_PERIOD = 0.001

_CAVEATS = (
    *LOOPBACK,
    "what no room was found in is among `other`, and looking itself takes time: read the shares",
)

#: The room of a file; the first that fits.
_ROOMS = (
    ("start-up", r"importlib|tokens/vocabulary"),
    ("counting", r"ratedispatch/tokens/"),
    ("providers", r"ratedispatch/providers/"),
    (
        "budget",
        r"ratedispatch/pacing/|ratedispatch/dispatch/route\.py",
    ),
    ("transport", r"ratedispatch/(dispatch/transports/|_json)|/aiohttp/"),
    ("files", r"ratedispatch/jobs/"),
    ("dispatcher", r"ratedispatch/(\w+\.py|dispatch/|observe/)"),
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


@dataclass(frozen=True, slots=True)
class Profile:
    """
    One job, or several together.

    Args:
        cpu: Processor seconds, user and system.
        requests: How many were sent.
        samples: How often the processor was found in each room.
    """

    cpu: float
    requests: int
    samples: Counter[str]

    @classmethod
    def of(cls, jobs: Sequence[Profile]) -> Profile:
        """Return *jobs* as one."""
        samples = sum((job.samples for job in jobs), Counter[str]())
        return cls(sum(job.cpu for job in jobs), sum(job.requests for job in jobs), samples)

    @property
    def per_request(self) -> float:
        """Microseconds of processor time for a request."""
        return 1e6 * self.cpu / self.requests

    def share(self, room: str) -> float:
        """Return the share of the samples that *room* has."""
        return self.samples[room] / self.samples.total()


def profile(requests: int, in_flight: int, seed: int) -> Profile:
    """Run the job in this process, which must be a fresh one, and look at what it does."""
    sampler = Sampler()
    os.environ["OPENAI_API_KEY"] = "any"
    with tempfile.TemporaryDirectory(prefix="ratedispatch-where-") as name:
        folder = Path(name)
        even(requests, seed).write(folder / "in.jsonl")
        with FakeServerProcess("--latency", "0.02", "--latency-sigma", "0") as server:
            words = ["run", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"), "--quiet"]
            words += ["--rpm", "100M", "--tpm", "100G", "--base-url", server.base_url]
            words += ["--max-in-flight", str(in_flight)]
            signal.signal(signal.SIGPROF, sampler)
            before = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, _PERIOD, _PERIOD)
            try:
                # its last sentence is no part of the result
                with contextlib.redirect_stdout(sys.stderr):
                    program(words, standalone_mode=False)
            except SystemExit as ended:
                if ended.code:
                    raise
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            cpu = time.process_time() - before
    return Profile(cpu, requests, sampler.found)


def figures(jobs: Sequence[Profile]) -> dict[str, Any]:
    """Return what *jobs* took together, room by room, and the spread over them."""
    whole = Profile.of(jobs)
    return {
        "cpu_us_per_request": round(whole.per_request, 1),
        "cpu_us_spread": Spread.of([job.per_request for job in jobs]).as_dict(1),
        "samples": whole.samples.total(),
        "rooms": {
            room: {
                "share": round(whole.share(room), 3),
                "us": round(whole.per_request * whole.share(room), 1),
                "share_spread": Spread.of([job.share(room) for job in jobs]).as_dict(),
            }
            for room, _ in whole.samples.most_common()
        },
    }


def _text(result: Mapping[str, Any]) -> str:
    rows = [["room", "µs a request", "share", "least", "most"]]
    for room, values in result["rooms"].items():
        spread = values["share_spread"]
        shares = (values["share"], spread["least"], spread["most"])
        rows.append([room, f"{values['us']:.1f}", *(f"{share:.1%}" for share in shares)])
    spread = result["cpu_us_spread"]
    return (
        f"{result['requests']:,} requests, {result['in_flight']:,} in flight, "
        f"{result['runs']} times: {result['cpu_us_per_request']:.0f} µs of processor a request "
        f"({spread['least']:.0f} to {spread['most']:.0f}), {result['samples']:,} samples\n\n"
        f"{table(rows)}"
    )


def main() -> int:
    """Run the job and print where its time went."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("--requests", type=positive, default=20_000, metavar="N")
    parser.add_argument("--in-flight", type=positive, default=200, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    jobs = []
    for number in range(arguments.repeats):
        jobs.append(
            call_in_subprocess(profile, arguments.requests, arguments.in_flight, arguments.seed)
        )
        shown = f"{jobs[-1].per_request:.0f} µs of processor a request"
        progress(f"{number + 1}/{arguments.repeats}: {shown}")
    result = {
        "requests": arguments.requests,
        "in_flight": arguments.in_flight,
        "runs": arguments.repeats,
        **figures(jobs),
    }
    publish(arguments, surroundings, result, _text(result), caveats=_CAVEATS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
