"""
The snippets of the page about frameworks, each run in the environment of its framework.

They are run as they stand, against a fake server which the environment variables of the SDK name.
A snippet is right if it ends well and each of its requests was paced.

Run: python -m benchmarks.drop_in.snippets [NAME ...] [--folder FOLDER] [--json [FILE]]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.drop_in.frameworks import FRAMEWORKS, QUIET
from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from benchmarks.frame.venvs import PROJECT, Environment, NotInstalled, default_folder
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = PROJECT / "docs" / "how-to" / "pace-a-framework.md"

_BLOCK = re.compile(
    r"^(?:<!-- .*?snippets (\w+)` -->\n)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL
)

#: Seconds that one snippet may take: some frameworks take ten to be imported.
_MOST_SECONDS = 120.0

#: Put after a snippet: says how many requests all gates have granted.
_COUNTED = """
import gc
from ratedispatch.dispatch.wrap.gate import Gate
gates = [one for one in gc.get_objects() if issubclass(type(one), Gate)]
print(sum(gate.snapshot().levels[0].spent for gate in gates))
"""


def snippets(page: str) -> dict[str, str]:
    """Return the program of each framework on *page*, with the lines that all go on from."""
    found, common = dict[str, str](), ""
    for name, code in _BLOCK.findall(page):
        if name:
            found[name] = common + code
        else:
            common += code
    return found


def run(program: str, python: Path, server: FakeServerProcess) -> dict[str, Any]:
    """Run *program* with *python* against *server*; return what came of it."""
    server.reset()
    urls = dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE"), server.base_url)
    settings = {"PYTHONPATH": str(PROJECT), "OPENAI_API_KEY": "key-of-the-benchmark", **urls}
    ended = subprocess.run(
        [str(python), "-c", program + _COUNTED],
        env=os.environ | settings | QUIET,
        capture_output=True,
        text=True,
        check=False,
        timeout=_MOST_SECONDS,
    )
    stats = server.stats()
    lines = ended.stdout.strip().splitlines()
    found: dict[str, Any] = {"arrived": stats["arrived"], "paced": 0, "error": ""}
    if ended.returncode:
        found["error"] = (ended.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    else:
        found["paced"] = int(float(lines[-1]))
    is_paced = 0 < stats["admitted"] == stats["arrived"] == found["paced"]
    return found | {"is_met": is_paced and not found["error"]}


def show(found: Mapping[str, Mapping[str, Any]], skipped: Mapping[str, str]) -> str:
    """Return a line for each snippet, and why others were skipped."""
    rows = [["snippet", "requests", "paced", "met"]]
    for name, one in found.items():
        rows.append(
            [name, *map(str, (one["arrived"], one["paced"])), "yes" if one["is_met"] else "no"]
        )
    errors = [f"{name}: {one['error']}" for name, one in found.items() if one["error"]]
    reasons = [f"{name} was skipped: {reason}" for name, reason in skipped.items()]
    return "\n".join([table(rows), *reasons, *errors])


def main(words: Sequence[str] | None = None) -> int:
    """Run the snippets that *words* name, or all; return 1 if one is not right."""
    parser = make_parser(__doc__, repeats=1, seed=None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FRAMEWORKS))
    parser.add_argument(
        "--folder", type=Path, default=default_folder("drop-in"), help="for environments"
    )
    arguments = parser.parse_args(words)
    programs = snippets(PAGE.read_text(encoding="utf-8"))
    unknown = set(arguments.names) - set(programs)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(programs)}")
    surroundings = environment(None)
    folder = arguments.folder.expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    found, skipped = dict[str, dict[str, Any]](), dict[str, str]()
    with FakeServerProcess("--rpm", "3000", "--tpm", "2M", "--latency", "0.01") as server:
        for name in arguments.names or programs:
            progress(f"{name} …")
            try:
                python = Environment(name, FRAMEWORKS[name]).install(folder)
            except NotInstalled as error:
                skipped[name] = str(error)
                continue
            found[name] = run(programs[name], python, server)
    result = {"snippets": found, "skipped": skipped}
    publish(arguments, surroundings, result, show(found, skipped))
    return 0 if all(one["is_met"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
