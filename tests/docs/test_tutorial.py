"""The tutorial does what it says, with fewer prompts than it says."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ratedispatch.simulate.server.child import FakeServerProcess
from tests.docs.pages import DOCS, ROOT, blocks, run_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TUTORIAL = DOCS / "tutorial.md"
N = 80
RPM = 3_000
TPM = 600_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeServerProcess]:
    """The tutorial's server with other limits, and an empty folder to work in."""
    flags = ("--rpm", str(RPM), "--tpm", str(TPM), "--burst-seconds", "1", "--latency", "0.02")
    with FakeServerProcess(*flags) as child:
        monkeypatch.setenv("TUTORIAL_SERVER", child.base_url.removesuffix("/v1"))
        monkeypatch.setenv("TUTORIAL_N", str(N))
        monkeypatch.setenv("TUTORIAL_RPM", str(RPM))
        monkeypatch.setenv("TUTORIAL_TPM", str(TPM))
        monkeypatch.chdir(tmp_path)
        yield child


def the_command(base_url: str) -> list[str]:
    """Return the arguments of the tutorial's own command, against *base_url*."""
    lines = "".join(text for text, _ in blocks(TUTORIAL, "console")).splitlines()
    (line,) = (line for line in lines if " run " in line)
    arguments = shlex.split(line)[1:]
    arguments[arguments.index("--base-url") + 1] = base_url
    return arguments


@pytest.mark.slow
def test_the_tutorial_runs_from_the_recipe_to_the_command(
    server: FakeServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe is refused, the dispatcher answers every prompt, and a file is done once."""
    run_blocks(TUTORIAL)
    shown = dict(
        line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line
    )
    everything = f"{N} answers in "
    refused = {title: int(text.split()[-2]) for title, text in shown.items()}
    # how many depends on how fast a busy machine sends; all at once, 80 do not fit into 50
    assert refused["recipe"] > 0
    assert refused["two limiters, 60 s deep"] > 0
    assert shown["a prompt above the second"].startswith("ValueError")
    for title in ("submit", "map", "file", "file again"):
        assert shown[title].startswith(everything)
    assert shown["file again"].endswith("; 0 sent, 0 refused")

    done = subprocess.run(
        [sys.executable, "-m", "ratedispatch", *the_command(server.base_url)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": "any", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{N} answered, 0 failed")
    lines = (tmp_path / "from-the-command.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["custom_id"] for line in lines} == {
        f"number-{n}" for n in range(1, N + 1)
    }


def test_the_cost_that_the_tutorial_states() -> None:
    """The thousand prompts cost what the text says, so its least time is right."""
    names: dict[str, object] = {"__name__": "page"}
    exec(blocks(TUTORIAL, "python")[0][0], names)
    from ratedispatch import count_tokens

    body = names["body"]
    assert callable(body)
    tokens = [count_tokens(body(n)) + 50 for n in range(1, 1001)]
    text = TUTORIAL.read_text("utf-8")
    assert f"{sum(tokens):,} tokens" in text
    assert f"less than {(sum(tokens) - 5_000) / 5_000:.1f} seconds" in text
