"""
Kill a job over and over, at random instants, and see what is left.

A fake server strikes a part of the requests with faults. The command is started, killed with
SIGKILL, and started again, as many times as asked for, and at last left to finish. Then every row
has to stand in exactly one of the two files, once; and what was sent again may be no more than
what was in flight at the kills.

    python -m benchmarks.live.kill --kills 300

With ``--outages`` one fault after the other strikes everything for a few seconds as well. With
``--processes`` each kill strikes one of the processes of the job: the one that has the files, after
which the command is started again, or one that sends, after which the job goes on by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.frame.command import LOOPBACK, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import outline
from benchmarks.frame.workload import short
from benchmarks.live.parts.forkserver import ForkServer
from benchmarks.live.parts.rowcheck import check_files
from ratedispatch.simulate.server.child import FakeServerProcess

#: Each at this share of the requests; what hangs is ended by the timeout of an attempt.
FAULTS = ("500", "503", "429", "html", "html200", "reset", "disconnect", "truncate", "hang")
_FAULT_SHARE = 0.002

#: With outages: seconds from the start of one to that of the next, how long each lasts, and how
#: many there may be.
_BETWEEN = 20
_AWAY = 3
_OUTAGES = 180

_LATENCY = 0.05

#: Seconds within which a kill falls, from the start of the process and from its first request.
_EARLY = 0.3
_LATE = 0.5

#: Seconds within which the server notices that its client is gone.
_NOTICING = 0.1

#: Of the kills, the share that may fall before the first request.
_EARLY_SHARE = 0.25

_HANGING = 120.0

#: The flags of a job without a pool.
_NO_LIMITS = ("--rpm", "none", "--tpm", "none")


@dataclass(frozen=True, slots=True)
class Killed:
    """
    What is left of a job that was killed over and over.

    Args:
        kills: Times that it was killed.
        rows: Of the input.
        in_flight: The most that were in flight.
        lost: Rows without a line.
        doubled: Rows with more than one line.
        wrong: Lines that belong to no row, to another row, or say no reason.
        sent_again: Rows, summed over the kills, that the server was working on, or had answered
            and have no line. Those that had come back and waited for another attempt are not in
            here: they would have been sent again without a kill.
        billed_twice: Answers of the server beyond the first of each row.
        told: What the last report says may have been billed twice.
        exit_code: Of the last run.
        seconds: In all.
    """

    kills: int
    rows: int
    in_flight: int
    lost: int
    doubled: int
    wrong: int
    sent_again: int
    billed_twice: int
    told: int
    exit_code: int
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost or doubled, and no more sent again than was in flight."""
        return (
            not (self.lost or self.doubled or self.wrong)
            and self.sent_again <= self.kills * self.in_flight
            and self.billed_twice <= self.told
            and self.exit_code in {0, 1}
        )


def kill_over_and_over(
    folder: Path,
    *,
    kills: int,
    seed: int,
    rows: int,
    in_flight: int = 16,
    has_outages: bool = False,
    has_pool: bool = False,
    processes: int = 1,
) -> Killed:
    """
    Run a job in *folder* that is killed *kills* times, then to its end.

    Args:
        folder: Empty.
        kills: How often; fewer if the job ends before.
        seed: Of the workload, the faults and the instants.
        rows: Of the input.
        in_flight: The most in flight.
        has_outages: Whether everything fails for a few seconds now and then.
        has_pool: Whether it is sent by a pool, whose members are at the same server.
        processes: How many send; 1 for the one that has the files.
    """
    rng = random.Random(seed)
    workload = short(rows, seed)
    source, output, errors = (folder / name for name in ("in.jsonl", "out.jsonl", "bad.jsonl"))
    workload.write(source)
    faults = [flag for name in FAULTS for flag in ("--fault", f"{name}={_FAULT_SHARE}")]
    if has_outages:
        faults += _outage_flags()
    begin = time.perf_counter()
    done = sent_again = 0
    env = {"OPENAI_API_KEY": "kill-test-key-1"}
    with (
        FakeServerProcess("--latency", str(_LATENCY), "--seed", str(seed), *faults) as server,
        ForkServer(env) as fork_server,
    ):
        target = _pool(folder, server) if has_pool else ("--base-url", server.base_url, *_NO_LIMITS)
        arguments = [
            *("run", str(source), "-o", str(output), "--errors-file", str(errors), *target),
            *("--max-in-flight", str(in_flight), "--timeout", "2", "--quiet", "--json"),
            *("--processes", str(processes)),
        ]
        killer = _Killer(server, fork_server, arguments, output, rng, has_hands=processes > 1)
        for _ in range(kills):
            again = killer.kill()
            if again is None:
                break
            done += 1
            sent_again += again
        killer.wait()
        last = _finish(arguments, env)
        stats = server.stats()
    check = check_files((row.custom_id for row in workload.rows), output, errors, echoes=False)
    report = json.loads(last.stdout) if last.stdout else {}
    return Killed(
        done,
        rows,
        in_flight,
        check.lost,
        check.doubled,
        check.unknown + check.unexplained,
        sent_again,
        stats["answers_too_many"],
        report.get("billed_twice_at_most", 0),
        last.returncode,
        round(time.perf_counter() - begin, 1),
    )


def _finish(arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the job to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ratedispatch", *arguments, "--max-in-flight", "128"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


class _Killer:
    """Starts the job and kills it, or one of its processes."""

    def __init__(
        self,
        server: FakeServerProcess,
        fork_server: ForkServer,
        arguments: list[str],
        output: Path,
        rng: random.Random,
        *,
        has_hands: bool,
    ) -> None:
        self._server = server
        self._fork_server = fork_server
        self._arguments = arguments
        self._output = output
        self._rng = rng
        self._has_hands = has_hands
        self._process: int | None = None

    def kill(self) -> int | None:
        """Kill once; return how many rows will be sent again for it, None if it ended before."""
        server, rng = self._server, self._rng
        before, lines = server.stats(), _lines(self._output)
        process = self._process
        if process is None:
            process = self._process = self._fork_server.start(self._arguments)
        if rng.random() < _EARLY_SHARE:
            time.sleep(rng.uniform(0.0, _EARLY))
        elif not _wait_for_arrival(server, before["arrived"], process):
            return None
        else:
            time.sleep(rng.uniform(0.0, _LATE))
        victims = [process, *(_hands_of(process) if self._has_hands else ())]
        victim = rng.choice(victims)
        abandoned = server.stats()["abandoned"]
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if victim == process and self.wait() != -signal.SIGKILL:
            return None
        time.sleep(_NOTICING)
        stats = server.stats()
        at_work = int(stats["abandoned"] - abandoned)
        if victim != process:  # what it had answered has lines soon, and others go on meanwhile
            return at_work
        # of this run alone: what an earlier one left is sent again for that one's kill. By rows:
        # an answer that broke on its way is another answer of the same row
        answered = stats["answered_rows"] - before["answered_rows"]
        return at_work + int(max(0, answered - (_lines(self._output) - lines)))

    def wait(self) -> int | None:
        """Wait for what was started to end; return its exit code."""
        if self._process is None:
            return None
        self._process = None
        return self._fork_server.wait()


def _hands_of(process: int) -> list[int]:
    """Return the processes that send for *process*."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            with contextlib.suppress(FileNotFoundError):
                if b"processes.hand" in Path(f"/proc/{name}/cmdline").read_bytes():
                    found.append(int(name))
    return found


def _pool(folder: Path, server: FakeServerProcess) -> tuple[str, str]:
    """Return the flags of a pool of three members at *server*."""
    path = folder / "pool.toml"
    member = f'[[pool]]\nbase_url = "{server.base_url}"\nrpm = "none"\ntpm = "none"\n'
    path.write_text(3 * member)
    return "--limits", str(path)


def _outage_flags() -> list[str]:
    """Return the flags of outages in which each fault has its turn."""
    flags = []
    for number in range(_OUTAGES):
        name, start = FAULTS[number % len(FAULTS)], _BETWEEN * (number + 0.5)
        flags += ["--fault-time", f"{name}={start:g}:{_AWAY}"]
    return flags


def _wait_for_arrival(server: FakeServerProcess, before: int, process: int) -> bool:
    """Wait until something more is sent; return whether it is, and *process* has not ended."""
    end = time.perf_counter() + _HANGING
    while server.stats()["arrived"] == before:
        if not _is_running(process):
            return False
        if time.perf_counter() > end:
            raise RuntimeError(f"nothing was sent within {_HANGING:g} s")
        time.sleep(0.02)
    return True


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def main() -> int:
    """Print what is left; 0 if all is right."""
    parser = make_parser(__doc__, repeats=1)
    parser.add_argument("--kills", type=positive, default=300, metavar="N")
    parser.add_argument("--rows", type=positive, default=40_000, metavar="N")
    parser.add_argument("--outages", action="store_true", help="let everything fail now and then")
    parser.add_argument("--pool", action="store_true", help="send by three members of a pool")
    parser.add_argument("--processes", type=positive, default=1, metavar="N", help="that send")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    runs = []
    for run in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as folder:
            killed = kill_over_and_over(
                Path(folder),
                kills=arguments.kills,
                seed=arguments.seed + run,
                rows=arguments.rows,
                has_outages=arguments.outages,
                has_pool=arguments.pool,
                processes=arguments.processes,
            )
        runs.append({**asdict(killed), "is_on_target": killed.is_right})
    is_on_target = all(run["is_on_target"] for run in runs)
    found = {"runs": runs, "is_on_target": is_on_target}
    text = "\n\n".join(outline(run) for run in runs)
    publish(arguments, surroundings, found, text, caveats=LOOPBACK)
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
