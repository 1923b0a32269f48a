"""The examples of the page on several machines run, with fewer machines and without a Redis."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import row
from tests.docs.pages import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = DOCS / "how-to" / "use-several-machines.md"
ROWS = 9


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.01") as child:
        yield child


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The folder that all machines see."""
    text = "".join(row(f"r{number}") + "\n" for number in range(ROWS))
    (tmp_path / "prompts.jsonl").write_text(text)
    return tmp_path


def check_merged(shared: Path) -> None:
    """Put the shards of two machines together."""
    paths = sorted(str(path) for path in shared.glob("answers.*-of-2.jsonl"))
    result = CliRunner().invoke(main, ["merge", *paths, "-o", str(shared / "answers.jsonl")])
    assert result.exit_code == 0, result.output
    lines = (shared / "answers.jsonl").read_text().splitlines()
    names = [json.loads(line)["custom_id"] for line in lines]
    assert names == [f"r{number}" for number in range(ROWS)]


def test_the_pods_of_the_kubernetes_job_do_all_rows(
    shared: Path, server: FakeServerProcess
) -> None:
    """N stands in it twice; the variable is put into the arguments as Kubernetes does it."""
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    ((text, _),) = blocks(PAGE, "yaml")
    job = yaml.safe_load(text)
    spec = job["spec"]
    assert (job["kind"], spec["completionMode"]) == ("Job", "Indexed")
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # else a podFailurePolicy is refused
    (container,) = pod["containers"]
    assert container["command"] == ["ratedispatch"]
    assert f"--shard=$(JOB_COMPLETION_INDEX)/{spec['completions']}" in container["args"]
    for index in range(2):
        arguments = [
            re.sub(r"/16$", "/2", one)
            .replace("$(JOB_COMPLETION_INDEX)", str(index))
            .replace("/shared", str(shared))
            for one in container["args"]
        ]
        result = CliRunner().invoke(
            main,
            [*without_redis(arguments), "--base-url", server.base_url],
            env={"OPENAI_API_KEY": "any"},
        )
        assert result.exit_code == 0, result.output
    check_merged(shared)


def without_redis(arguments: list[str]) -> list[str]:
    """Return *arguments* without the flag that needs a server; where there is one, it is right."""
    command = main.get_command(click.Context(main), "run")
    assert command is not None
    if any("--share" in one.opts for one in command.params):
        command.make_context("run", arguments[1:])
    return [one for one in arguments if not one.startswith("--share=")]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_tasks_of_the_slurm_array_do_all_rows(shared: Path, server: FakeServerProcess) -> None:
    """As SLURM runs it, with a `srun` that runs its arguments."""
    ((text, _),) = blocks(PAGE, "bash")
    assert "#SBATCH --array=0-15\n" in text
    assert '"$SLURM_ARRAY_TASK_ID/16"' in text
    script = re.sub(r'--share "[^"]*"', f'--base-url "{server.base_url}"', text)
    script = script.replace("/16", "/2").replace("/shared", str(shared))
    (shared / "job.sh").write_text(script)
    tools = {"srun": '"$@"', "ratedispatch": f'"{sys.executable}" -m ratedispatch "$@"'}
    for name, line in tools.items():
        (shared / name).write_text(f"#!/bin/bash\nexec {line}\n")
        (shared / name).chmod(0o755)
    for task in range(2):
        done = subprocess.run(
            ["bash", "job.sh"],
            cwd=shared,
            env={
                **os.environ,
                "PATH": os.pathsep.join([str(shared), os.environ["PATH"]]),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "SLURM_ARRAY_TASK_ID": str(task),
                "OPENAI_API_KEY": "any",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    check_merged(shared)


def test_the_commands_of_the_page_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the fake server that they ask for; patterns as the shell expands them."""
    monkeypatch.chdir(tmp_path)
    Path("prompts.jsonl").write_text("".join(row(f"r{number}") + "\n" for number in range(ROWS)))
    lines = [line for text, _ in blocks(PAGE, "console") for line in text.splitlines()]
    codes = []
    for line in lines:
        arguments = [
            one
            for word in line.removeprefix("ratedispatch ").split()
            for one in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
        ]
        codes.append(CliRunner().invoke(main, arguments).exit_code)
    # the last merge puts together what there is, which is not all; the run after it does the rest
    assert codes == [0, 0, 0, 3, 0]
    assert len(Path("answers.jsonl").read_text().splitlines()) == ROWS
    assert len(Path("rest.jsonl").read_text().splitlines()) == ROWS
