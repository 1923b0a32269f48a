"""
Run a file in shards, put them together, and compare the result with that of a single run.

A file with blank lines, lines that are no requests and repeated names goes once through one run,
and once through N runs with ``--shard``, several at a time; every fourth of these is stopped by
SIGTERM in the middle, has to end with exit code 3, and is started again. ``merge`` has to copy
every line byte for byte, and its result has to be that of the single run, row for row. What the
server numbers by the order of arrivals (its ``request_id`` and the ``id`` of the answer) differs
from run to run of the same file, and is blacked out on both sides; all other bytes are compared.

    python -m benchmarks.live.shards --rows 20000 --shards 16
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.frame.command import LOOPBACK, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import outline
from benchmarks.frame.workload import short
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.shard import Shard
from ratedispatch.simulate.server.child import FakeServerProcess

#: What depends on when a request came, and not on what it asks.
_BY_ARRIVAL = re.compile(rb'("request_id":"req_|"id":"chatcmpl-)[0-9a-f]+"')

_PEAK = re.compile(r"VmHWM:\s*(\d+) kB")

#: Of the lines of the file, one in so many is blank, no request, or has a name that was there.
_ODD = 97

#: Of the shards, one in so many is stopped once.
_STOPPED = 4

_LATENCY = 0.05

#: Seconds after the first line of a shard within which it is stopped.
_LATE = 0.3

#: Shards that run at once.
_AT_ONCE = 4

_NO_LIMITS = ("--rpm", "none", "--tpm", "none", "--max-in-flight", "64", "--no-config")


@dataclass(frozen=True, slots=True)
class Sharded:
    """
    What came of a file that was run in shards.

    Args:
        rows: Of the input.
        shards: That it was run in.
        largest: Rows of the largest shard.
        smallest: Rows of the smallest.
        stopped: Shards that were stopped by SIGTERM, ended with exit code 3, and were started
            again.
        answered: Rows that ``merge`` says are answered.
        failed: Rows that it says have failed.
        copied: Lines of the shards that are in the result byte for byte.
        equal: Rows whose line is that of the single run, but for what is numbered by arrival.
        sent: Requests that the server met for the shards.
        sent_again: Requests of these beyond the first of each row.
        resumed: Requests that a run with the merged output as its own has sent.
        merge_seconds: That ``merge`` took.
        merge_megabytes: Its largest memory; None where the system does not tell.
    """

    rows: int
    shards: int
    largest: int
    smallest: int
    stopped: int
    answered: int
    failed: int
    copied: int
    equal: int
    sent: int
    sent_again: int
    resumed: int
    merge_seconds: float
    merge_megabytes: float | None

    @property
    def is_right(self) -> bool:
        """Whether the result is that of a single run, row for row."""
        whole = {self.answered + self.failed, self.copied, self.equal}
        is_even = self.largest - self.smallest <= self.rows // _ODD // self.shards + 16
        return whole == {self.rows} and not self.resumed and is_even


def run_in_shards(folder: Path, *, rows: int, shards: int, seed: int) -> Sharded:
    """Run a file of *rows* lines in *folder* once whole and once in *shards*, and compare."""
    count = _write_input(folder / "in.jsonl", rows, seed)
    rng = random.Random(seed)
    latency = ("--latency", str(_LATENCY), "--seed", str(seed))
    with FakeServerProcess(*latency) as server:
        _run(folder, "single.jsonl", server)
    with FakeServerProcess(*latency) as server:
        delays = [
            rng.uniform(0.0, _LATE) if number % _STOPPED == 0 else None for number in range(shards)
        ]

        def run(number: int) -> bool:
            flags = ("--shard", f"{number}/{shards}")
            return _run(folder, "out.jsonl", server, *flags, stop_after=delays[number])

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            stopped = sum(pool.map(run, range(shards)))
        stats = server.stats()
        began = time.perf_counter()
        paths = sorted(str(path) for path in folder.glob("out.*.jsonl"))
        merged = _command(folder, "merge", *paths, "-o", "out.jsonl", "--json")
        memory = _peak_of(merged)
        seconds = time.perf_counter() - began
        counts = json.loads(merged.communicate()[0])
        before = server.stats()["arrived"]
        _run(folder, "out.jsonl", server)
        resumed = server.stats()["arrived"] - before
    parts = [_lines(Path(path)) for path in paths]
    sizes = [
        len(_lines(path)) for path in folder.glob("out.*-of-*.jsonl") if "errors" not in path.name
    ]
    whole = {**_lines(folder / "out.jsonl"), **_lines(folder / "out.errors.jsonl")}
    single = {**_lines(folder / "single.jsonl"), **_lines(folder / "single.errors.jsonl")}
    return Sharded(
        count,
        shards,
        max(sizes),
        min(sizes),
        stopped,
        counts["answered"],
        counts["failed"],
        sum(whole.get(row) == line for part in parts for row, line in part.items()),
        sum(_plain(line) == _plain(whole.get(row, b"")) for row, line in single.items()),
        stats["arrived"],
        stats["answers_too_many"],
        resumed,
        round(seconds, 2),
        memory,
    )


def _write_input(path: Path, rows: int, seed: int) -> int:
    """Write a file of *rows* lines, some of them odd; return how many are not blank."""
    short(rows, seed).write(path)
    lines = path.read_bytes().splitlines()
    odd = [b"", b"no request", lines[0]]
    for turn, number in enumerate(range(_ODD, len(lines), _ODD)):
        lines[number] = odd[turn % len(odd)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return sum(bool(line) for line in lines)


def _run(
    folder: Path,
    output: str,
    server: FakeServerProcess,
    *flags: str,
    stop_after: float | None = None,
) -> bool:
    """Run the file to its end; return whether it was stopped on the way and started again."""
    words = ("run", "in.jsonl", "-o", output, "--base-url", server.base_url, *_NO_LIMITS, "--quiet")
    stopped = False
    while True:
        process = _command(folder, *words, *flags)
        if stop_after is not None:
            _stop(process, folder, flags[-1], stop_after)
        _, errors = process.communicate()
        if process.returncode == 3 and stop_after is not None:
            stopped, stop_after = True, None
            continue
        if process.returncode not in {0, 1}:
            raise RuntimeError(f"exit code {process.returncode}: {errors}")
        return stopped


def _stop(process: subprocess.Popen[str], folder: Path, shard: str, delay: float) -> None:
    """Send SIGTERM *delay* seconds after the first line of the shard, if it still runs then."""
    output = Shard.parse(shard).path(folder / "out.jsonl")
    while process.poll() is None and not (output.exists() and output.stat().st_size):
        time.sleep(0.01)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)


def _command(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ratedispatch", *words],
        cwd=folder,
        env={**os.environ, "OPENAI_API_KEY": "shards-test-key-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _peak_of(process: subprocess.Popen[str]) -> float | None:
    """
    Wait for the end of *process*; return its largest memory so far seen, in MB.

    Not what the system says of a child that has ended: that counts its parent's memory at the fork.
    """
    peak = None
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            found = _PEAK.search(status.read_text())
        except OSError:
            found = None
        if found is not None:
            peak = round(int(found[1]) / 1024, 1)
        time.sleep(0.005)
    return peak


def _lines(path: Path) -> dict[int, bytes]:
    """Return the lines of *path* by their rows; every row of it has one."""
    found: dict[int, bytes] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        row = row_of(line)
        if row is None or row in found:
            raise RuntimeError(f"{path.name}: row {row} has two lines, or a line no row")
        found[row] = line
    return found


def _plain(line: bytes) -> bytes:
    """Return *line* without what the server numbers by the order of arrivals."""
    return _BY_ARRIVAL.sub(rb'\1"', line)


def main() -> int:
    """Print what came of it; 0 if it is what a single run gives."""
    parser = make_parser(__doc__, repeats=1)
    parser.add_argument("--rows", type=positive, default=20_000, metavar="N")
    parser.add_argument("--shards", type=positive, default=16, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    runs = []
    for run in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as folder:
            sharded = run_in_shards(
                Path(folder),
                rows=arguments.rows,
                shards=arguments.shards,
                seed=arguments.seed + run,
            )
        runs.append({**asdict(sharded), "is_on_target": sharded.is_right})
    is_on_target = all(run["is_on_target"] for run in runs)
    found = {"runs": runs, "is_on_target": is_on_target}
    text = "\n\n".join(outline(run) for run in runs)
    publish(arguments, surroundings, found, text, caveats=LOOPBACK)
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
