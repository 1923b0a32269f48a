"""
Runs the tests of everything that sends with other versions of the openai package.

Each version has an environment of its own, with this project installed: the lowest one that the
project takes, and the last of each major version. An environment that cannot be had, as without
a network, is skipped with the reason.

Run: python -m tests.environments [NAME ...] [--quick] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

from benchmarks.frame.venvs import PROJECT, Environment, NotInstalled, default_folder, project

#: What depends on the version: in the order in which it says most.
_TESTS = (
    "tests/environments/test_jobs.py",
    "tests/dispatch/transports",
    "tests/dispatch/wrap",
    "tests/dispatch/test_sync_dispatcher.py",
    "tests/dispatch/test_warm_up.py",
    "tests/typed",
)

#: What the tests need besides the project.
_TOOLS = ("pytest>=8.3", "pytest-xdist>=3.6", "hypothesis>=6.112", "trio>=0.26")


def environments() -> list[Environment]:
    """Return the environments, by what the project says that it takes."""
    needed = next(
        one for one in cast("list[str]", project()["dependencies"]) if one.startswith("openai")
    )
    found = re.search(r">=([\d.]+),<(\d+)", needed)
    assert found is not None, needed
    lowest, end = found[1], int(found[2])
    first = int(lowest.partition(".")[0])
    majors = [(f"openai-{one}", f"openai>={one},<{one + 1}") for one in range(first, end)]
    return [
        Environment(name, (package, "httpx", *_TOOLS), "files")  # a client of httpx is taken by all
        for name, package in [("openai-lowest", f"openai=={lowest}"), *majors]
    ]


def run(python: Path, *words: str) -> int:
    """Run *python* with *words* on this checkout; return the exit code."""
    variables = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), *words]
    return subprocess.run(command, cwd=PROJECT, env=variables, check=False).returncode


def main() -> int:
    """Run what is asked for; return 1 if a test failed."""
    known = environments()
    names = [one.name for one in known]
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="only a job in each")
    place = default_folder("environments")
    parser.add_argument("--folder", type=Path, default=place, help="of the environments")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    folder = arguments.folder.expanduser()
    tests = [path for path in _TESTS if (PROJECT / path).exists()][: 1 if arguments.quick else None]
    failed = []
    for environment in known:
        if arguments.names and environment.name not in arguments.names:
            continue
        start = time.perf_counter()
        try:
            python = environment.install(folder)
        except NotInstalled as error:
            print(f"{environment.name} is skipped: {error}", flush=True)  # noqa: T201
            continue
        made = time.perf_counter()
        version = "import openai; print('openai', openai.__version__, flush=True)"
        run(python, "-c", version)
        words = ("-m", "pytest", "-n", "2", "-q", "-p", "no:cacheprovider", *tests)
        if run(python, *words) != 0:
            failed.append(environment.name)
        took = f"made in {made - start:.0f} s, tested in {time.perf_counter() - made:.0f} s"
        print(f"{environment.name}: {took}", flush=True)  # noqa: T201
    if failed:
        print(f"failed: {', '.join(failed)}")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
