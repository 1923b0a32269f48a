"""
Frameworks that send through an openai client, plain and paced.

Each runs in an environment of its own and makes one call, one stream and fifty calls at once, to
a fake server with 600 requests per minute. A framework that cannot be installed is skipped, with
the reason.

Run: python -m benchmarks.drop_in.frameworks [NAME ...] [--folder FOLDER] [--json [FILE]]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from benchmarks.frame.venvs import PROJECT, Environment, NotInstalled, default_folder
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Packages that bring each door's framework. The names are those of the modules in `doors`.
FRAMEWORKS = {
    "langchain": ("langchain-openai",),
    "pydantic_ai": ("pydantic-ai-slim[openai]",),
    "openai_agents": ("openai-agents",),
    "instructor": ("instructor",),
    "llama_index": ("llama-index-llms-openai",),
    "litellm": ("litellm",),
    "autogen": ("autogen-ext[openai]",),
    "semantic_kernel": ("semantic-kernel",),
    "haystack": ("haystack-ai",),
    "smolagents": ("smolagents[openai]",),
    "deepeval": ("deepeval",),
    "dspy": ("dspy", "litellm"),
}

#: None of them needs to tell its makers of a benchmark, or to ask them for prices.
QUIET = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
}

#: As `doors.account` tells them to the paced clients.
_SERVER = ("--rpm", "600", "--tpm", "1M", "--burst-seconds", "1", "--latency", "0.1")

#: Seconds that one visit may take.
_MOST_SECONDS = 240.0

#: Refusals that a paced framework may meet.
_MOST_REFUSED = 1


@dataclass(frozen=True, slots=True)
class Visit:
    """
    One way through a door.

    Args:
        framework: Whose.
        variant: ``plain`` or ``paced``.
        found: What the child printed.
        refused: Requests that the server refused.
    """

    framework: str
    variant: str
    found: dict[str, Any]
    refused: int

    @property
    def is_met(self) -> bool:
        """Whether a paced visit is as it has to be; a plain one is there to be compared."""
        found = self.found
        whole = found.get("ask") and found.get("stream") and found.get("failed") == 0
        return self.variant == "plain" or bool(whole and self.refused <= _MOST_REFUSED)

    def figures(self) -> dict[str, Any]:
        """Return it as JSON types."""
        named = {"framework": self.framework, "variant": self.variant, "refused": self.refused}
        return {**named, **self.found, "is_met": self.is_met}


def go(framework: str, variant: str, python: Path, server: FakeServerProcess) -> Visit:
    """Visit *framework* with the interpreter of its environment."""
    server.reset()
    command = [str(python), "-m", "benchmarks.drop_in.visit", framework, server.base_url, variant]
    settings = {"PYTHONPATH": str(PROJECT), "OPENAI_API_KEY": "key-of-the-benchmark"}
    ended = subprocess.run(
        command,
        env=os.environ | settings | QUIET,
        capture_output=True,
        text=True,
        check=False,
        timeout=_MOST_SECONDS,
    )
    last = (ended.stdout.strip().splitlines() or [""])[-1]
    try:
        found = json.loads(last)
    except ValueError:
        found = {"errors": [ended.stderr.strip()[-500:] or f"it ended with {ended.returncode}"]}
    return Visit(framework, variant, found, sum(server.stats()["refused"].values()))


def show(visits: Sequence[Visit], skipped: dict[str, str]) -> str:
    """Return a line for each visit, and why frameworks were skipped."""
    rows = [["framework", "clients", "call", "stream", "failed of 50", "refused", "seconds", "met"]]
    for visit in visits:
        found = visit.found
        one = ["yes" if found.get(kind) else "no" for kind in ("ask", "stream")]
        figures = [str(found.get("failed", "all")), str(visit.refused)]
        seconds = f"{found['seconds']:.1f}" if "seconds" in found else ""
        met = "" if visit.variant == "plain" else ("yes" if visit.is_met else "no")
        rows.append([visit.framework, visit.variant, *one, *figures, seconds, met])
    reasons = [f"{name} was skipped: {reason}" for name, reason in skipped.items()]
    errors = [
        f"{visit.framework}, {visit.variant}: {error}"
        for visit in visits
        for error in visit.found["errors"]
        if visit.variant == "paced"
    ]
    return "\n".join([table(rows), *reasons, *errors])


def main(words: Sequence[str] | None = None) -> int:
    """Visit what *words* name, or all; return 1 if a paced one is not as it has to be."""
    parser = make_parser(__doc__, repeats=1, seed=None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FRAMEWORKS))
    parser.add_argument(
        "--folder", type=Path, default=default_folder("drop-in"), help="for environments"
    )
    arguments = parser.parse_args(words)
    unknown = set(arguments.names) - set(FRAMEWORKS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(FRAMEWORKS)}")
    surroundings = environment(None)
    folder = arguments.folder.expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    visits, skipped = list[Visit](), dict[str, str]()
    with FakeServerProcess(*_SERVER) as server:
        for name in arguments.names or FRAMEWORKS:
            try:
                python = Environment(name, FRAMEWORKS[name]).install(folder)
            except NotInstalled as error:
                skipped[name] = str(error)
                progress(f"{name} is skipped: {error}")
                continue
            for variant in ("plain", "paced"):
                progress(f"{name}, {variant} …")
                visits += [go(name, variant, python, server) for _ in range(arguments.repeats)]
    result = {"visits": [visit.figures() for visit in visits], "skipped": skipped}
    publish(arguments, surroundings, result, show(visits, skipped), caveats=LOOPBACK)
    return 0 if all(visit.is_met for visit in visits) else 1


if __name__ == "__main__":
    sys.exit(main())
