"""
One measurement: a file, a server, a program, and what is asked of them.

Decides how a run goes: start the server, run the program as a process of its own, read the
referee, compare the files. Knows nothing of how figures are shown.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.frame.bounds import Account, Wait, tpm_for
from benchmarks.frame.workload import Workload, mixed, short, with_large
from benchmarks.live.parts.figures import Ended, Figures, Targets, figures
from benchmarks.live.parts.rowcheck import check_files
from ratedispatch.limits import BURST_SECONDS
from ratedispatch.simulate.provider.faults import FAULTS
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

#: The ways to send a file: the command itself, the library with a listener, the baselines.
RUN = "run"
WATCHED = "watched"

#: Tokens per minute where requests are what binds: about twice what short rows need.
_AMPLE_TPM = 250_000

#: Requests per minute: of OpenAI's middle tiers.
_RPM = 3_000

_LATENCY = 0.2
_SIGMA = 0.3

#: Rows above this many tokens are the large ones.
_LARGE = 1_000

#: The most that a large row may wait, of what its place explains.
_FAIR_RATIO = 1.5

#: Seconds that a child may take beyond five times the lower bound.
_GRACE = 60.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    What is measured.

    Args:
        name: As on the command line.
        workload: Makes the file from a seed.
        targets: What each run is to reach; ``None`` where there is nothing to miss.
        burst_seconds: Depth of the server's buckets.
        latency: Median seconds of an answer.
        latency_sigma: Its spread; 0 for none.
        tpm: Tokens per minute, unless *bound* says what they are to be.
        bound: Seconds that the token limit is to make the lower bound; ``None`` if requests bind.
        server_flags: Further flags of the fake server.
        run_flags: Further flags of ``ratedispatch run``.
        way: How the file is sent.
        time_limit: Seconds after which the child is ended; ``None`` for a generous one.
    """

    name: str
    workload: Callable[[int], Workload]
    targets: Targets | None
    burst_seconds: float = 1.0
    latency: float = _LATENCY
    latency_sigma: float = _SIGMA
    tpm: int = _AMPLE_TPM
    bound: float | None = None
    server_flags: tuple[str, ...] = ()
    run_flags: tuple[str, ...] = ()
    way: str = RUN
    time_limit: float | None = None

    @property
    def told_burst(self) -> float:
        """Seconds of rate that the program may spend at once, by its flags or its default."""
        if "--burst-seconds" in self.run_flags:
            return float(self.run_flags[self.run_flags.index("--burst-seconds") + 1])
        return BURST_SECONDS

    def account(self, workload: Workload) -> Account:
        """Return the limits of the server for *workload*."""
        tpm = self.tpm
        if self.bound is not None:
            tpm = tpm_for(self.bound, workload.tokens, self.burst_seconds, self.latency)
        return Account(_RPM, tpm, self.burst_seconds, self.latency)

    def measure(self, seed: int, server_seed: int) -> Figures:
        """Run it once, with files in a folder that is removed again."""
        workload = self.workload(seed)
        account = self.account(workload)
        limit = self.time_limit
        if limit is None:
            bound = account.lower_bound(len(workload.rows), workload.tokens)
            limit = 5 * bound + _GRACE
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="ratedispatch-benchmark-") as folder:
            files = Files(Path(folder))
            workload.write(files.input)
            with FakeServerProcess(*self._server(account, server_seed)) as server:
                ended = run_to_end(self._command(files, account, server.base_url), limit, files)
                stats = server.stats()
            is_ours = self.way in {RUN, WATCHED}
            rows = check_files(workload.ids, files.output, files.errors, echoes=is_ours)
            extra: dict[str, float] = {}
            if self.way == WATCHED and ended.exit_code == 0:
                seen = json.loads(files.printed.read_text(encoding="utf-8"))
                extra = waits(workload, account, seen["sent"], self.told_burst)
        return figures(
            workload,
            account,
            stats,
            ended=ended,
            rows=rows,
            server_seed=server_seed,
            load_average=load,
            extra=extra,
        )

    def _server(self, account: Account, server_seed: int) -> list[str]:
        return [
            *("--rpm", str(account.rpm), "--tpm", str(account.tpm)),
            *("--burst-seconds", str(account.burst_seconds)),
            *("--latency", str(account.latency), "--latency-sigma", str(self.latency_sigma)),
            *("--seed", str(server_seed)),
            *self.server_flags,
        ]

    def _command(self, files: Files, account: Account, base_url: str) -> list[str]:
        limits = ["--rpm", str(account.rpm), "--tpm", str(account.tpm), "--base-url", base_url]
        names = [str(files.input), str(files.output)]
        if self.way == RUN:
            command = ["ratedispatch", "run", names[0], "-o", names[1], "--errors-file"]
            command += [str(files.errors), "--quiet", "--json", *self.run_flags]
        elif self.way == WATCHED:
            command = ["benchmarks.live.parts.traced_job", *names, *self.run_flags]
        else:
            command = ["benchmarks.live.parts.baselines", self.way, *names]
        return [sys.executable, "-m", *command, *limits]


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one run, all in *folder*."""

    folder: Path

    @property
    def input(self) -> Path:
        """The requests."""
        return self.folder / "in.jsonl"

    @property
    def output(self) -> Path:
        """The answers."""
        return self.folder / "out.jsonl"

    @property
    def errors(self) -> Path:
        """The rows that failed."""
        return self.folder / "out.errors.jsonl"

    @property
    def printed(self) -> Path:
        """Standard output of the program."""
        return self.folder / "stdout"

    @property
    def complaints(self) -> Path:
        """Standard error of the program."""
        return self.folder / "stderr"


def run_to_end(command: list[str], limit: float, files: Files) -> Ended:
    """Run *command* for at most *limit* seconds."""
    # proxies are not for the loopback
    environment = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    } | {"OPENAI_API_KEY": "key-of-the-benchmark"}
    with files.printed.open("wb") as printed, files.complaints.open("wb") as complaints:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=complaints,
            env=environment,
        )
        try:
            exit_code = process.wait(limit)
        except subprocess.TimeoutExpired:
            exit_code = None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        wall = time.perf_counter() - begin
    lines = files.complaints.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return Ended(wall, exit_code, last[:200])


def waits(
    workload: Workload, account: Account, sent: dict[str, float], burst_seconds: float
) -> dict[str, float]:
    """
    Compare the wait of every row with what its place in the line explains.

    A place explains ``(tokens of all rows up to it, its own included - burst) / rate`` seconds,
    with the burst that the program was told to use, and never less than one median latency.

    Args:
        workload: The rows in the order of the file.
        account: The server's limits.
        sent: Seconds from the first admission of any row to that of each.
        burst_seconds: Seconds of rate that the program was told to spend at once.

    Returns:
        How many large rows there are and how many wait above the target; the worst ratio over
        them and over the other rows; the latest of each kind in seconds beyond what is explained.
    """
    known = dataclasses.replace(account, burst_seconds=burst_seconds)
    found: dict[bool, list[Wait]] = {True: [], False: []}
    before = 0
    for row in workload.rows:
        before += row.tokens
        wait = Wait(row.custom_id, sent[row.custom_id], known.token_seconds(before))
        found[row.tokens >= _LARGE].append(wait)
    floor = account.latency
    return {
        "large_rows": len(found[True]),
        "large_rows_above_target": sum(wait.ratio(floor) > _FAIR_RATIO for wait in found[True]),
        "worst_wait_ratio": max(wait.ratio(floor) for wait in found[True]),
        "worst_wait_late_s": max(wait.lateness for wait in found[True]),
        "worst_small_wait_ratio": max(wait.ratio(floor) for wait in found[False]),
        "worst_small_wait_late_s": max(wait.lateness for wait in found[False]),
    }


def _short(seed: int) -> Workload:
    return short(1_500, seed)


def _mixed(seed: int) -> Workload:
    return mixed(600, seed)


def _with_large(seed: int) -> Workload:
    return with_large(600, seed)


_PROMPT = Targets(ratio=1.03, refusals=0)
_FAIR = Targets(refusals=0, wait_ratio=_FAIR_RATIO)
PACED = Scenario("paced", _short, _PROMPT)

#: Scenarios that send a file with the program itself, in the order in which they are run.
SCENARIOS: tuple[Scenario, ...] = (
    PACED,
    Scenario("mixed", _mixed, _PROMPT, burst_seconds=5.0, bound=40.0),
    Scenario(
        "mixed-burst",
        _mixed,
        _PROMPT,
        burst_seconds=5.0,
        bound=40.0,
        run_flags=("--burst-seconds", "4.5"),
    ),
    Scenario("large", _with_large, _FAIR, burst_seconds=5.0, bound=40.0, way=WATCHED),
    Scenario(
        "large-burst",
        _with_large,
        _FAIR,
        burst_seconds=5.0,
        bound=40.0,
        run_flags=("--burst-seconds", "4.5"),
        way=WATCHED,
    ),
    Scenario(
        "faults",
        _short,
        Targets(all_answered=False),
        server_flags=tuple(flag for name in FAULTS for flag in ("--fault", f"{name}=0.02")),
        run_flags=("--timeout", "5"),
    ),
    Scenario("slow", _short, Targets(ratio=1.03), latency=10.0, latency_sigma=0.0),
)

#: Seconds that a baseline may take: four times what our own run of the same file takes.
_BASELINE_LIMIT = 180.0

#: The file of ``paced``, three ways.
BASELINES: tuple[Scenario, ...] = (
    PACED,
    *(
        Scenario(way, _short, None, way=way, time_limit=_BASELINE_LIMIT)
        for way in ("backoff", "limiters")
    ),
)
