"""
One run beside a server that differs from what the program is told.

Decides how it goes: start the server, run ``ratedispatch run`` as a process of its own, read the
referee, compare the files. Knows nothing of how figures are shown.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.live.parts.figures import Figures, Targets
from benchmarks.live.parts.rowcheck import check_files
from benchmarks.live.parts.scenario import Files, run_to_end
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.frame.bounds import Allowance, Target
    from benchmarks.frame.workload import Workload
    from benchmarks.live.parts.figures import Ended

    Extra = dict[str, float | None]

#: Flags on the limits, of server and program alike, where nothing else is said.
TOLD = ("--rpm", "3000", "--tpm", "2M")

#: Median seconds of an answer where nothing else is said, and their log-normal spread everywhere.
LATENCY = 0.2
SIGMA = 0.3

#: Seconds that a child may take: more than twice what the longest is to take.
_TIME_LIMIT = 300.0


def _nothing(_: Mapping[str, Any]) -> Extra:
    return {}


def _incomparable(_: Mapping[str, Any], __: Mapping[str, Any]) -> Extra:
    return {}


def _rows(workload: Workload, _: Mapping[str, Any]) -> float:
    return len(workload.rows)


@dataclass(frozen=True, slots=True)
class Trial:
    """
    A server, what the program knows of it, and what is asked of the program.

    Args:
        name: As on the command line.
        workload: Makes the file from a seed.
        server: Flags of the fake server, besides latency, spread and seed.
        allowance: What the server admits at most.
        targets: What each run is to reach, besides an answer to every row.
        run: Flags of ``ratedispatch run`` on the limits.
        limits_file: What ``limits.toml`` holds, if the flags name it.
        latency: Median seconds of an answer.
        work: Requests or tokens that the allowance has to admit, from file and referee's report.
        extra: What only this one measures, from the referee's report.
        beside: Another one to run before this one each time, to compare with.
        compare: What both together show, from the figures of this one and the other.
    """

    name: str
    workload: Callable[[int], Workload]
    server: tuple[str, ...]
    allowance: Allowance
    targets: tuple[Target, ...] = ()
    run: tuple[str, ...] = TOLD
    limits_file: str | None = None
    latency: float = LATENCY
    work: Callable[[Workload, Mapping[str, Any]], float] = _rows
    extra: Callable[[Mapping[str, Any]], Extra] = _nothing
    beside: Trial | None = None
    compare: Callable[[Mapping[str, Any], Mapping[str, Any]], Extra] = _incomparable

    def measure(self, seed: int, server_seed: int) -> dict[str, Any]:
        """Run it once, after what it is compared with; return the figures by name."""
        other = None if self.beside is None else self.beside.measure(seed, server_seed)
        found = self._measure(seed, server_seed)
        if other is None:
            return found
        return {**found, **_rounded(self.compare(found, other)), "beside": other}

    def commands(self) -> dict[str, str]:
        """Return the command lines, with file names and a port that stand for the real ones."""
        program = self._program(Files(Path()), "http://127.0.0.1:PORT/v1")
        server = ["fake-server", *self._server(0)]
        return {
            "server": shlex.join(["ratedispatch", *server]),
            "run": shlex.join(["ratedispatch", *program]),
        }

    def _measure(self, seed: int, server_seed: int) -> dict[str, Any]:
        workload = self.workload(seed)
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="ratedispatch-benchmark-") as folder:
            files = Files(Path(folder))
            workload.write(files.input)
            if self.limits_file is not None:
                _limits_path(files).write_text(self.limits_file, encoding="utf-8")
            with FakeServerProcess(*self._server(server_seed)) as server:
                command = [sys.executable, "-m", "ratedispatch"]
                before = _cpu_of_children()
                ended = run_to_end(
                    [*command, *self._program(files, server.base_url)], _TIME_LIMIT, files
                )
                cpu = _cpu_of_children() - before  # the server is still running: not in it
                stats = server.stats()
            run = self._figures(workload, files, stats, ended, server_seed, load)
            report = _report(files.printed)
        misses = Targets().misses(run)
        if ended.exit_code is None:
            misses.append(f"it took more than {_TIME_LIMIT:g} s and was ended")
        elif ended.exit_code != 0:
            misses.append(f"exit code {ended.exit_code}")
        return {
            **run.as_dict(),
            "refused_share": round(run.refusals / len(workload.rows), 5),
            "cpu_s": round(cpu, 2),
            **_rounded(self.extra(stats)),
            "row_misses": misses,
            "latency": stats["latency"],
            "per_second": stats["per_second"],
            "report": report,
        }

    def _figures(
        self,
        workload: Workload,
        files: Files,
        stats: Mapping[str, Any],
        ended: Ended,
        server_seed: int,
        load: float,
    ) -> Figures:
        first = stats["first_arrival"] or 0.0
        return Figures(
            server_seed=server_seed,
            lower_bound=self.allowance.lower_bound(self.work(workload, stats), first),
            makespan=stats["makespan"],
            ended=ended,
            rows=check_files(workload.ids, files.output, files.errors),
            stats=stats,
            work=workload.tokens,
            load_average=load,
        )

    def _server(self, seed: int) -> list[str]:
        latency = ["--latency", str(self.latency), "--latency-sigma", str(SIGMA)]
        return [*self.server, *latency, "--seed", str(seed)]

    def _program(self, files: Files, base_url: str) -> list[str]:
        limits = [] if self.limits_file is None else ["--limits", str(_limits_path(files))]
        return [
            *("run", str(files.input), "-o", str(files.output), "--errors-file", str(files.errors)),
            *("--quiet", "--json", "--base-url", base_url, *limits, *self.run),
        ]


def _limits_path(files: Files) -> Path:
    return files.folder / "limits.toml"


def _cpu_of_children() -> float:
    """Return the processor seconds of all children that have ended."""
    import resource  # Windows has none, and the unit tests of the rest run there too

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _report(printed: Path) -> Any:
    """Return what the program reported, or ``None`` if it was ended before."""
    text = printed.read_text(encoding="utf-8")
    return json.loads(text) if text.startswith("{") else None


def _rounded(extra: Extra) -> Extra:
    return {name: None if value is None else round(value, 4) for name, value in extra.items()}
