"""
One peer, one file, one server.

Decides how a run goes: start the server, run the peer as a process of its own until it ends or
its time is up, read the referee, compare the rows. Knows nothing of how figures are shown.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.workload import Workload
from benchmarks.live.parts.rowcheck import check_files
from benchmarks.live.parts.scenario import Files
from benchmarks.peers.places import DRIVER, interpreter, variables
from benchmarks.peers.table import OURS
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from benchmarks.peers.table import Peer
    from benchmarks.peers.workloads import Task, Told

#: Seconds that a peer's imports may take.
_CHECK_LIMIT = 120.0

#: Seconds between two looks at a child.
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Child:
    """
    How a process and its children went.

    Args:
        exit_code: ``None`` if it was ended because its time was up; negative for a signal.
        wall: Seconds from its start to its end.
        cpu: Processor seconds, its own and its children's.
        peak_rss: Bytes of memory that the process itself held at most; 0 where there is no /proc.
        last_words: The last line that it wrote to standard error.
    """

    exit_code: int | None
    wall: float
    cpu: float
    peak_rss: int
    last_words: str


def run_child(
    command: list[str], environment: dict[str, str], files: Files, limit: float, job: str = ""
) -> Child:
    """Run *command* with *job* on its standard input for at most *limit* seconds."""
    spoken = files.folder / "job.json"
    spoken.write_text(job, encoding="utf-8")
    with (
        spoken.open("rb") as given,
        files.printed.open("wb") as printed,
        files.complaints.open("wb") as complaints,
    ):
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=printed,
            stderr=complaints,
            env=environment,
            cwd=files.folder,
            start_new_session=True,  # so that what it started can be ended with it
        )
        status: int | None = None
        peak = 0
        try:
            while True:
                peak = max(peak, _peak_rss(process.pid))
                # wait4, because only it tells what this child used, not what all children did
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                if time.perf_counter() - begin > limit:
                    os.killpg(process.pid, signal.SIGKILL)
                    _, _, usage = os.wait4(process.pid, 0)
                    status = None
                    break
                time.sleep(_LOOK)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wall = time.perf_counter() - begin
        exit_code = None if status is None else os.waitstatus_to_exitcode(status)
        process.returncode = -signal.SIGKILL if exit_code is None else exit_code
    return Child(
        exit_code,
        wall,
        usage.ru_utime + usage.ru_stime,
        peak,
        _last_line(files.complaints),
    )


def _peak_rss(pid: int) -> int:
    """
    Return the most bytes that a process has held so far; 0 if that is not to be had.

    Not ``ru_maxrss``: Linux keeps in it what the parent held at the fork, which hides every child
    that is smaller than this program.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def check(peer: Peer, folder: Path) -> tuple[dict[str, str], str | None]:
    """
    Import *peer* once.

    Returns:
        The versions of its packages, and why it cannot be used, or ``None`` if it can.
    """
    if peer.name == OURS:
        return {}, None
    if not interpreter(folder, peer).exists():
        return {}, f"not installed: python -m benchmarks.peers.install {peer.name}"
    job = {"runner": peer.name, "packages": peer.distributions, "check": True}
    with tempfile.TemporaryDirectory(prefix="ratedispatch-peers-") as place:
        files = Files(Path(place))
        child = run_child(
            _drive(peer, folder),
            variables(peer, folder, files.folder),
            files,
            _CHECK_LIMIT,
            json.dumps(job),
        )
        if child.exit_code is None:
            return {}, f"its imports took more than {_CHECK_LIMIT:g} s"
        if child.exit_code:
            return {}, f"cannot be imported: {child.last_words}"
        lines = files.printed.read_text(encoding="utf-8").splitlines()
    versions: dict[str, str] = json.loads(lines[-1])
    return versions, None


def measure(
    peer: Peer, task: Task, workload: Workload, folder: Path, server_seed: int
) -> dict[str, Any]:
    """Send *workload* with *peer* and return the figures by name; seconds end in ``_s``."""
    load = os.getloadavg()[0]
    rows = len(workload.rows)
    with tempfile.TemporaryDirectory(prefix="ratedispatch-peers-") as place:
        files = Files(Path(place))
        workload.write(files.input)
        with FakeServerProcess(*task.server(workload, server_seed)) as server:
            child = _run(peer, task.told(workload), files, folder, server.base_url, task, workload)
            stats = server.stats()
        check = check_files(workload.ids, files.output, files.errors, echoes=False)
        failures = _failures(files) if peer.name != OURS and child.exit_code == 0 else {}
    makespan = stats["makespan"]
    bound = task.lower_bound(workload, stats["first_arrival"] or 0.0)
    complete = check.answered == rows and makespan is not None
    return {
        "lower_bound_s": round(bound, 3),
        "makespan_s": None if makespan is None else round(makespan, 3),
        "ratio": round(makespan / bound, 4) if complete else None,
        "wall_s": round(child.wall, 3),
        "exit_code": child.exit_code,
        "answered": check.answered,
        "lost": rows - check.answered,
        "failures": failures,
        "doubled": check.doubled,
        "refusals": sum(stats["refused"].values()),
        "refused": dict(stats["refused"]),
        "arrived": stats["arrived"],
        "admitted": stats["admitted"],
        "admissions_too_many": stats["admissions_too_many"],
        "in_flight_peak": stats["in_flight_peak"],
        "requests_per_s": round(stats["answered"] / makespan, 2) if makespan else None,
        "cpu_s": round(child.cpu, 3),
        "peak_rss_mb": round(child.peak_rss / 1e6, 1),
        "last_words": child.last_words,
        "server_seed": server_seed,
        "load_average": round(load, 2),
    }


def start_up_cpu(peer: Peer, task: Task, workload: Workload, folder: Path) -> float | None:
    """Return the processor seconds that *peer* takes for the first row alone."""
    one = Workload(workload.name, workload.rows[:1])
    found = measure(peer, task, one, folder, server_seed=0)
    return found["cpu_s"] if found["exit_code"] == 0 else None


def _run(
    peer: Peer,
    told: Told,
    files: Files,
    folder: Path,
    base_url: str,
    task: Task,
    workload: Workload,
) -> Child:
    environment = variables(peer, folder, files.folder)
    limit = task.time_limit(workload)
    if peer.name == OURS:
        command = [sys.executable, "-m", "ratedispatch", "run", str(files.input)]
        command += [
            "-o",
            str(files.output),
            "--errors-file",
            str(files.errors),
            "--quiet",
            "--json",
        ]
        command += ["--base-url", base_url, "--rpm", str(told.rpm), "--tpm", str(told.tpm)]
        command += ["--max-in-flight", str(told.in_flight)]
        return run_child(command, environment, files, limit)
    job = {
        "runner": peer.name,
        "packages": peer.distributions,
        "input": str(files.input),
        "output": str(files.output),
        "folder": str(files.folder),
        "base_url": base_url,
        "model": workload.rows[0].body["model"],
        "rpm": told.rpm,
        "tpm": told.tpm,
        "in_flight": told.in_flight,
    }
    return run_child(_drive(peer, folder), environment, files, limit, json.dumps(job))


def _failures(files: Files) -> dict[str, int]:
    """Return what the rows failed of, as far as the peer says: the last line that it printed."""
    lines = files.printed.read_text(encoding="utf-8", errors="replace").splitlines()
    failures: dict[str, int] = json.loads(lines[-1])["failures"]
    return failures


def _drive(peer: Peer, folder: Path) -> list[str]:
    return [str(interpreter(folder, peer)), "-s", str(DRIVER)]


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    # the second half of a long line says what went wrong, the first only where
    return next((line.strip()[-240:] for line in reversed(lines) if line.strip()), "")
