"""
The program in front of servers that nobody here wrote: nginx, HAProxy and others.

Starts each server on the loopback with a small model server behind it, runs a file through it,
and holds the seconds against what nobody can go below. A server that cannot be had is skipped,
with the reason.

Run: python -m benchmarks.real [SERVER ...] [--only TEXT] [--runs N] [--json [FILE]]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import NOTHING, table
from benchmarks.real.haproxy import HAPROXY
from benchmarks.real.litellm import LITELLM
from benchmarks.real.llama import LLAMA
from benchmarks.real.measure import is_met, measure
from benchmarks.real.nginx import NGINX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.real.parts import RealServer, Trial

#: In the order in which they are tried.
SERVERS: tuple[RealServer, ...] = (NGINX, HAPROXY, LITELLM, LLAMA)

_NAMES = tuple(server.name for server in SERVERS)

_CAVEATS = (SHARED_MACHINE, "the model behind each limiter is a fake one")

#: Columns of the table: heading, figure, format.
_COLUMNS = (
    ("ideal s", "ideal_s", ".1f"),
    ("seconds", "seconds", ".1f"),
    ("ratio", "ratio", ".3f"),
    ("rows", "rows", "d"),
    ("answered", "answered", "d"),
    ("failed", "failed", "d"),
    ("refused", "refused", "d"),
    ("p50 s", "latency_p50_s", ".2f"),
)


def run_trial(server: RealServer, trial: Trial, seed: int) -> dict[str, Any]:
    """Return the figures of one run."""
    with tempfile.TemporaryDirectory(prefix="ratedispatch-real-") as folder:
        figures = measure(trial, Path(folder), seed)
    found = {
        "server": server.name,
        "trial": trial.name,
        "ideal_s": trial.ideal,
        **figures,
        "is_met": is_met(trial, figures),
    }
    shown = f"{found['seconds']:.1f} s, {found['answered']} answered, {found['refused']} refused"
    progress(f"{server.name}, {trial.name}: {shown}{'' if found['is_met'] else ', missed'}")
    return found


def show(runs: Sequence[dict[str, Any]], skipped: dict[str, str]) -> str:
    """Return a table with a line for each run, and why servers were skipped."""
    rows = [["server", "trial", *(heading for heading, _, _ in _COLUMNS), "met"]]
    for run in runs:
        cells = [
            NOTHING if run[figure] is None else format(run[figure], how)
            for _, figure, how in _COLUMNS
        ]
        rows.append([run["server"], run["trial"], *cells, "yes" if run["is_met"] else "no"])
    reasons = [f"{name} was skipped: {reason}" for name, reason in skipped.items()]
    return "\n".join([table(rows), *reasons])


def main(words: Sequence[str] | None = None) -> int:
    """Try what *words* name; return 1 if a target was missed."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=", ".join(_NAMES))
    parser.add_argument("--only", default="", metavar="TEXT", help="trials with it in their names")
    arguments = parser.parse_args(words)
    unknown = [name for name in arguments.servers if name not in _NAMES]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    surroundings = environment(arguments.seed)
    runs, skipped = list[dict[str, Any]](), dict[str, str]()
    for server in SERVERS:
        if arguments.servers and server.name not in arguments.servers:
            continue
        reason = server.missing()
        if reason is not None:
            skipped[server.name] = reason
            progress(f"{server.name} is skipped: {reason}")
            continue
        trials = [trial for trial in server.trials if arguments.only in trial.name]
        for number in range(arguments.repeats):
            runs += [run_trial(server, trial, arguments.seed + number) for trial in trials]
    result = {"runs": runs, "skipped": skipped}
    publish(arguments, surroundings, result, show(runs, skipped), caveats=_CAVEATS)
    return 0 if all(run["is_met"] for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
