"""
Make the committed results anew, each by the command that `benchmarks/results/README.md` names.

For a quiet machine: a result of a busy one tells of the others. What takes no time of the machine
(``--quick``) is the same on any. The tables and charts of the documentation are made from the
results afterwards. A command that fails leaves its result as it was, and the others go on.

Run: python -m benchmarks.renew [--quick | --list] [NAME ...]
The exit code is 1 if a command has failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parent / "results"

#: Each result and what makes it, but for ``python -m`` and ``--json``; the quick ones first.
COMMANDS: dict[str, tuple[str, ...]] = {
    "constants": ("benchmarks.sim.constants",),
    "queue": ("benchmarks.micro.queue",),
    "overhead": ("benchmarks.live.overhead", "--large"),
    "profile": ("benchmarks.live.profile", "--runs", "3"),
    "sweep-in-flight": ("benchmarks.live.sweep", "--what", "in-flight"),
    "sweep-burst": ("benchmarks.live.sweep", "--what", "burst"),
    "sweep-cap-slack": ("benchmarks.live.sweep", "--what", "cap-slack"),
    "recipe": ("benchmarks.live.recipe",),
    "peers-paced": ("benchmarks.peers", "--workload", "paced"),
    "peers-tokens": ("benchmarks.peers", "--workload", "tokens"),
    "peers-drop": ("benchmarks.peers", "--workload", "drop"),
    "peers-free": ("benchmarks.peers", "--workload", "free"),
}

#: Those that depend on no clock.
QUICK = ("constants",)


def command(name: str) -> str:
    """Return what makes the result called *name*, as it is typed."""
    return f"python -m {' '.join(COMMANDS[name])} --json benchmarks/results/{name}.json"


def renew(name: str, folder: Path) -> bool:
    """Make a result in *folder*, and put it in its place; return whether that went well."""
    made = folder / f"{name}.json"
    words = [sys.executable, "-m", *COMMANDS[name], "--json", str(made)]
    begun = time.perf_counter()
    code = subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode
    # 1 says that a target is missed, which is a result too
    is_done = code in {0, 1} and made.exists()
    if is_done:
        (RESULTS / made.name).write_bytes(made.read_bytes())
    seconds = time.perf_counter() - begun
    print(f"{name}: exit code {code} after {seconds:.0f} s, {'renewed' if is_done else 'LEFT'}")
    return is_done


def main(words: Sequence[str] | None = None) -> int:
    """Make the results that are named, or all; then the tables of the documentation."""
    parser = argparse.ArgumentParser("python -m benchmarks.renew", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(COMMANDS))
    parser.add_argument("--quick", action="store_true", help="only what depends on no clock")
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    arguments = parser.parse_args(words)
    names = arguments.names or (QUICK if arguments.quick else tuple(COMMANDS))
    unknown = [name for name in names if name not in COMMANDS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(COMMANDS)}")
    if arguments.list:
        print("\n".join(command(name) for name in names))
        return 0
    with TemporaryDirectory() as folder:
        done = [renew(name, Path(folder)) for name in names]
    charts = subprocess.run([sys.executable, "-m", "benchmarks.charts"], check=False)
    return 0 if all(done) and not charts.returncode else 1


if __name__ == "__main__":
    sys.exit(main())
