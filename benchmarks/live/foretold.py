"""
What ``ratedispatch simulate`` says of jobs drawn at random, beside what ``ratedispatch run`` did.

Each job is foretold, then run for real: both commands with the same flags, against a real fake
server with the settings that were told to the first. Compared are the time from the first request
to the last answer, what held the job back and for which share of the time, and the time that is
left as the display of the run shows it each second.

Run: python -m benchmarks.live.foretold [--jobs N] [--seed N] [--only K] [--json [FILE]]
A job takes ten to thirty seconds, and thirty take ten minutes. The exit code is 1 if a target was
missed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.drawn_jobs import drawn_jobs
from benchmarks.frame.environment import environment
from benchmarks.frame.looks import MOST_OFF, Look, Watched
from benchmarks.frame.tables import table
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from benchmarks.frame.drawn_jobs import DrawnJob

#: Wanted of the time of the whole: the median error, and the worst.
MEDIAN_ERROR = 0.01
WORST_ERROR = 0.05

#: What held a job back is right if it is the same, or if both held it for as long but for this
#: share of the time; and so is the share.
_ALIKE = 0.10

#: The server of each job has chances of its own.
_SEEDS = 1_000

#: Seconds after which a command is given up.
_PATIENCE = 120.0

_PROGRAM = [sys.executable, "-m", "ratedispatch"]
_CHILD = [sys.executable, "-m", "benchmarks.live.parts.watched_run"]


class Foretold(NamedTuple):
    """
    A job, as it was foretold and as it went.

    Args:
        number: Of the job.
        text: Of the job.
        foretold: Seconds that it was to take.
        interval: The least and the most of several plays.
        seconds: What it took.
        held_foretold: Share of the time by what was to hold it back.
        held: The same of the run.
        watched: What the display of the run showed.
        exit_code: Of the run.
    """

    number: int
    text: str
    foretold: float
    interval: tuple[float, float]
    seconds: float
    held_foretold: dict[str, float]
    held: dict[str, float]
    watched: Watched
    exit_code: int

    @property
    def error(self) -> float:
        """How far the time was off, as a share of what it was."""
        return self.foretold / self.seconds - 1

    @property
    def binding(self) -> str:
        """What held the run back the longest."""
        return max(self.held, key=self.held.__getitem__, default="")

    @property
    def binding_foretold(self) -> str:
        """What was to."""
        return max(self.held_foretold, key=self.held_foretold.__getitem__, default="")

    @property
    def off_share(self) -> float:
        """How far off the share of the time was for which the run was held back by that."""
        return self.held_foretold.get(self.binding, 0.0) - self.held.get(self.binding, 0.0)

    @property
    def is_binding_right(self) -> bool:
        """Whether what held it back was foretold, or is as good as that."""
        held = self.held
        near = held.get(self.binding, 0.0) - held.get(self.binding_foretold, 0.0) <= _ALIKE
        return near and abs(self.off_share) <= _ALIKE

    def as_dict(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        found = {**self._asdict(), "watched": self.watched._asdict(), "error": self.error}
        return {**found, "eta_off": self.watched.off, "eta_off_left": self.watched.off_left}


def measure(drawn: DrawnJob, folder: Path, seed: int) -> Foretold:
    """Foretell *drawn*, then run it; files are made in *folder*."""
    drawn.write(folder / "in.jsonl")
    flags = ["--rpm", str(drawn.rpm), "--tpm", str(drawn.tpm), "--order", drawn.order]
    flags += ["--no-memory", "--no-config", "--json"]
    settings = drawn.provider_flags
    modelled = ["--depth" if flag == "--burst-seconds" else flag for flag in settings[4:]]
    told = _output([*_PROGRAM, "simulate", "in.jsonl", *flags, *modelled], folder)
    with FakeServerProcess(*settings, "--seed", str(seed)) as server:
        notes = folder / "looks.jsonl"
        words = ["run", "in.jsonl", "-o", "out.jsonl", "--base-url", server.base_url, *flags]
        report = _output([*_CHILD, str(notes), *words], folder)
    seconds = report["seconds"]
    looks = tuple(Look(**json.loads(line)) for line in notes.read_text().splitlines())
    return Foretold(
        number=drawn.number,
        text=str(drawn),
        foretold=told["seconds"]["mean"],
        interval=(told["seconds"]["low"], told["seconds"]["high"]),
        seconds=seconds,
        held_foretold={
            name: one["mean"] / told["seconds"]["mean"]
            for name, one in told["held_seconds"].items()
        },
        held={name: one / seconds for name, one in report["held_seconds"].items()},
        watched=Watched(
            drawn.number, str(drawn), seconds, tuple(one for one in looks if one.second < seconds)
        ),
        exit_code=int(report["failed"] > 0),
    )


def _output(command: list[str], folder: Path) -> Any:
    """Return the JSON that *command* prints; it may end with failed rows."""
    root = str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root, "OPENAI_API_KEY": "sk-none"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    try:
        return json.loads(ended.stdout)
    except ValueError:
        raise RuntimeError(f"{' '.join(command)} ended with {ended.stderr[-2_000:]}") from None


def show(jobs: list[Foretold]) -> str:
    """Return *jobs* as a table for a person, and below it the figures that are wanted."""
    heads = ["job", "foretold s", "took s", "error", "bound by", "for", "told", "end off"]
    heads += ["rest off", "what"]
    rows = [heads]
    for one in jobs:
        wrong = "" if one.binding == one.binding_foretold else f" (not {one.binding_foretold})"
        told = one.held_foretold.get(one.binding, 0.0)
        row = [str(one.number), f"{one.foretold:.2f}", f"{one.seconds:.2f}", f"{one.error:+.1%}"]
        row += [f"{one.binding}{wrong}", f"{one.held.get(one.binding, 0.0):.0%}", f"{told:.0%}"]
        rows.append([*row, f"{one.watched.off:.1%}", f"{one.watched.off_left:.1%}", one.text])
    found = figures(jobs)
    below = (
        f"makespan: median error {found['median_error']:.2%}, worst {found['worst_error']:.2%}; "
        f"what binds right in {found['bindings_right']} of {len(jobs)}; "
        f"ETA from the fifth second on: worst {found['worst_eta']:.1%} of the whole, within "
        f"{MOST_OFF:.0%} in {found['etas_right']} of {len(jobs)}"
    )
    return f"{table(rows)}\n\n{below}"


def figures(jobs: list[Foretold]) -> dict[str, Any]:
    """Return the figures that are wanted."""
    errors = [abs(one.error) for one in jobs]
    offs = [one.watched.off for one in jobs]
    return {
        "median_error": statistics.median(errors),
        "worst_error": max(errors),
        "bindings_right": sum(one.is_binding_right for one in jobs),
        "worst_eta": max(offs),
        "etas_right": sum(off <= MOST_OFF for off in offs),
    }


def main() -> int:
    """Foretell and run the jobs, print both, and return the exit code."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("--jobs", type=int, default=30, metavar="N", help="how many jobs")
    parser.add_argument(
        "--only",
        type=int,
        action="append",
        metavar="K",
        help="the job with this number; repeatable",
    )
    asked = parser.parse_args()
    surroundings = environment(asked.seed)
    jobs = []
    for drawn in drawn_jobs(max([asked.jobs - 1, *(asked.only or [])]) + 1, asked.seed):
        if asked.only and drawn.number not in asked.only:
            continue
        progress(f"job {drawn.number}: {drawn}")
        with tempfile.TemporaryDirectory() as folder:
            found = measure(drawn, Path(folder), asked.seed + _SEEDS * drawn.number)
        progress(
            f"  foretold {found.foretold:.2f} s, took {found.seconds:.2f} s ({found.error:+.1%}); "
            f"{found.binding} {found.held.get(found.binding, 0.0):.0%}, "
            f"told {found.held_foretold.get(found.binding, 0.0):.0%}; "
            f"ETA off {found.watched.off:.1%}"
        )
        jobs.append(found)
    wanted = figures(jobs)
    results = {"jobs": [one.as_dict() for one in jobs], **wanted}
    publish(asked, surroundings, results, show(jobs), caveats=LOOPBACK)
    is_met = (
        wanted["median_error"] <= MEDIAN_ERROR
        and wanted["worst_error"] <= WORST_ERROR
        and wanted["bindings_right"] == wanted["etas_right"] == len(jobs)
    )
    return int(not is_met)


if __name__ == "__main__":
    sys.exit(main())
