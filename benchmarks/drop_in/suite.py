"""
openai's own tests, with plain clients and with every client paced.

Fetches the source distribution of the installed version, runs its tests twice in an environment
of their own, and compares test by test: what passes with plain clients has to pass with paced
ones. What does not is run once more, alone: some of the tests race against deadlines of 0.1 s,
which a busy machine misses. They are named, and so is what pacing changes on purpose. Tests that
need the network or a mock server that is not in the distribution are left out.

Run: python -m benchmarks.drop_in.suite [--quick] [--folder FOLDER] [--json [FILE]]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from benchmarks.frame.command import make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from benchmarks.frame.venvs import PROJECT, Environment, NotInstalled, default_folder, pip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What its tests import, besides openai itself.
_NEEDED = (
    "pytest",
    "pytest-asyncio",
    "pytest-xdist",
    "pytest-timeout",
    "inline-snapshot",
    "azure-identity",
    "botocore==1.43.127",
    "trio",
    "rich",
    "Pillow",
    "numpy",
    "pandas",
    "griffe",
    "httpx",
    "websockets",
    "sounddevice",
)

#: Left out: they go to a mock server on a port of its own or to the network, send over web sockets,
#: which no HTTP client carries, or look at the repository that the tests came from.
_LEFT_OUT = (
    "--ignore=tests/api_resources",
    "--ignore=tests/test_uv_workflows.py",
    *(
        f"--ignore-glob=*{part}*"
        for part in (
            "websocket",
            "realtime",
            "browser",
            "computer",
            "test_lazy_imports",
            "test_fine_tuning_positional_arguments",
        )
    ),
)

#: Those that test clients, streams and answers; a fifth of all.
_QUICK = (
    "tests/test_client.py",
    "tests/test_streaming.py",
    "tests/test_response.py",
    "tests/test_legacy_response.py",
    "tests/lib/chat",
    "tests/lib/responses",
    "tests/lib/test_azure.py",
    "tests/lib/test_azure_auth.py",
    "tests/lib/test_azure_deployment_path.py",
    "tests/lib/test_assistants.py",
    "tests/test_stream_mode.py",
    "tests/test_sse_framing.py",
)

#: The plugin that paces every client that a test makes.
_PLUGIN = "benchmarks.drop_in.pace_every_client"

#: The variable that names the folder where each process of pytest writes how many calls it paced.
COUNTS = "RATEDISPATCH_COUNTS"

_PASSED = "passed"

#: What pacing changes on purpose, by the test that sees it.
MEANT = {
    "tests.lib.test_vertex_provider::test_responses_routing_retry_and_credential_ownership": (
        "it wants a new token for the attempt after a 429; a paced client does not show the 429 "
        "to the SDK, and sends the request again as it is"
    ),
}

#: Tests that are run once more at most: if there are more, it is not the machine.
_MOST_AGAIN = 10


def fetch(number: str, python: Path, folder: Path) -> Path:
    """
    Return the unpacked source distribution of openai *number* below *folder*.

    Raises:
        NotInstalled: It cannot be had.
    """
    place = folder / f"openai-{number}"
    if not (place / "tests").is_dir():
        # what its build needs is fetched too, for its name and version only
        pip(
            python,
            *("download", "--no-deps", "--no-binary=:all:", "--dest", str(folder)),
            f"openai=={number}",
        )
        with tarfile.open(folder / f"openai-{number}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return place


def run(
    python: Path, source: Path, report: Path, counts: str, options: Sequence[str]
) -> dict[str, str]:
    """
    Run openai's tests and return what became of each, by its name.

    Args:
        python: The interpreter of their environment.
        source: The unpacked distribution.
        report: Where pytest writes what became of them.
        counts: The folder in which processes with the plugin write how many calls they paced.
        options: Further ones of pytest, and what to run.

    Raises:
        RuntimeError: pytest itself failed.
    """
    settings = {"DEFER_PYDANTIC_BUILD": "false", "PYTHONPATH": str(PROJECT), COUNTS: counts}
    report.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-n", "2", "-q", "--timeout=60", "-W", "default"]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", *_LEFT_OUT, *options]
    ended = subprocess.run(
        command,
        cwd=source,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"pytest wrote no report: {ended.stdout[-2_000:]}")
    return ends(report.read_text(encoding="utf-8"))


def ends(report: str) -> dict[str, str]:
    """Return what became of each test in a JUnit *report*: passed, failed, error or skipped."""
    found = dict[str, str]()
    for case in ElementTree.fromstring(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        tags = {child.tag for child in case}
        kind = next((tag for tag in ("failure", "error", "skipped") if tag in tags), _PASSED)
        found[name] = "failed" if kind == "failure" else kind
    return found


def address(name: str, source: Path) -> str:
    """Return the test *name*, as `ends` has it, in the way in which pytest takes it."""
    classname, _, test = name.partition("::")
    parts = classname.split(".")
    length = next(
        size
        for size in range(len(parts), 0, -1)
        if source.joinpath(*parts[:size]).with_suffix(".py").exists()
    )
    return "::".join(["/".join(parts[:length]) + ".py", *parts[length:], test])


def try_again(result: dict[str, Any], again: Mapping[str, str]) -> None:
    """Take those tests from the lost ones of *result* that have passed *again*."""
    result["second"] = [name for name in result["lost"] if again.get(name) == _PASSED]
    result["lost"] = [name for name in result["lost"] if name not in result["second"]]
    result["kept"] += len(result["second"])


def compare(plain: Mapping[str, str], paced: Mapping[str, str]) -> dict[str, Any]:
    """
    Return how often each end came, and the tests that passed only with plain clients.

    Those that see what pacing changes on purpose are apart, with the reason.
    """
    passed = [name for name, end in plain.items() if end == _PASSED]
    gone = sorted(name for name in passed if paced.get(name) != _PASSED)
    # only if it fails: one that was not run, or ended in another way, is lost all the same
    meant = {name: MEANT[name] for name in gone if name in MEANT and paced.get(name) == "failed"}
    lost = [name for name in gone if name not in meant]
    return {
        "plain": dict(Counter(plain.values())),
        "paced": dict(Counter(paced.values())),
        "kept": len(passed) - len(gone),
        "lost": lost,
        "meant": meant,
        "second": [],
    }


def show(result: Mapping[str, Any]) -> str:
    """Return a line for each variant, and the tests that were lost."""
    kinds = (_PASSED, "failed", "error", "skipped")
    rows = [["clients", *kinds]]
    rows += [
        [variant, *(str(result[variant].get(kind, 0)) for kind in kinds)]
        for variant in ("plain", "paced")
    ]
    kept, lost = result["kept"], result["lost"]
    calls = f"{result['calls']} calls were paced"
    verdict = (
        f"{kept} of {kept + len(lost) + len(result['meant'])} tests that pass with plain clients "
        f"pass with paced ones"
    )
    second = [f"passed when it was run alone: {name}" for name in result["second"]]
    meant = [f"meant: {name}: {reason}" for name, reason in result["meant"].items()]
    lines = [calls, verdict, *meant, *second, *(f"lost: {name}" for name in lost)]
    return "\n".join([table(rows), "", *lines])


def main(words: Sequence[str] | None = None) -> int:
    """Compare both; return 1 if a test passes only with plain clients."""
    parser = make_parser(__doc__, repeats=1, seed=None)
    parser.add_argument("--quick", action="store_true", help="only clients, streams and answers")
    parser.add_argument(
        "--folder", type=Path, default=default_folder("drop-in"), help="for the environment"
    )
    arguments = parser.parse_args(words)
    surroundings = environment(None)
    folder, number = arguments.folder.expanduser().resolve(), version("openai")
    folder.mkdir(parents=True, exist_ok=True)
    needed = Environment(f"suite-{number}", (f"openai[aiohttp]=={number}", *_NEEDED))
    try:
        python = needed.install(folder)
        source = fetch(number, python, folder)
    except NotInstalled as error:
        progress(f"openai's tests are skipped: {error}")
        return 0
    chosen = _QUICK if arguments.quick else ("tests",)
    found = {}
    with tempfile.TemporaryDirectory(prefix="ratedispatch-counts-") as counts:
        for variant, plugin in (("plain", ()), ("paced", ("-p", _PLUGIN))):
            progress(f"openai {number}, {variant} clients …")
            report = folder / f"{variant}.xml"
            found[variant] = run(python, source, report, counts, (*plugin, *chosen))
        result = {"openai": number, **compare(found["plain"], found["paced"])}
        if 0 < len(result["lost"]) <= _MOST_AGAIN:
            progress(f"{len(result['lost'])} tests once more …")
            once_more = [address(name, source) for name in result["lost"]]
            report = folder / "again.xml"
            try_again(
                result, run(python, source, report, counts, ("-n0", "-p", _PLUGIN, *once_more))
            )
        result["calls"] = sum(int(path.read_text("utf-8")) for path in Path(counts).glob("*.count"))
    publish(arguments, surroundings, result, show(result))
    return 1 if result["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
