"""``ratedispatch simulate --probe`` against a real server, and the run that goes on from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import KEY, lines, row, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 300
LIMITS = ("--rpm", "60k", "--tpm", "10M")


@pytest.fixture(scope="module")
def one_server() -> Iterator[FakeServerProcess]:
    """Whose outputs are a third of their caps."""
    flags = ("--latency", "0.02", "--output-share", "0.3334")
    with FakeServerProcess(*LIMITS, *flags) as server:
        yield server


@pytest.fixture
def server(one_server: FakeServerProcess) -> FakeServerProcess:
    """The same, as if it had just begun."""
    one_server.reset()
    return one_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rows with caps from 30 to 900 tokens, and one that is no request."""
    rows = [row(f"r{number}", max_tokens=30 * (number % 30 + 1)) for number in range(ROWS)]
    (tmp_path / "in.jsonl").write_text("\n".join([*rows, "{"]))
    return tmp_path


def simulate(folder: Path, server: FakeServerProcess, *flags: str) -> Any:
    """Run the command in this process, with a key."""
    words = ["simulate", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"), *LIMITS]
    variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
    return CliRunner().invoke(main, [*words, "--seeds", "1", *flags], env=variables)


def seen(folder: Path, server: FakeServerProcess, *flags: str) -> dict[str, Any]:
    """Return what it prints as JSON."""
    result = simulate(folder, server, "--json", *flags)
    assert result.exit_code == 1, result.output  # the row that is no request
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def test_a_probe_is_done_for_the_run_that_follows(folder: Path, server: FakeServerProcess) -> None:
    """Every row is answered once; what it was to cost is what it costs."""
    first = simulate(folder, server, "--probe", "60")
    assert "probe: 60 rows sampled from the file; 60 sent in " in first.stderr
    assert "240 rows: 240 answered" in first.stdout
    assert "The 60 rows of the probe are done, and are not simulated." in first.stdout.replace(
        "\n", " "
    )
    assert "like out.jsonl.probe: 60 attempts, 60 answered" in first.stdout
    assert len(lines(folder / "out.jsonl")) == 60
    assert KEY not in (folder / "out.jsonl.probe").read_text()
    standing = CliRunner().invoke(main, ["status", str(folder / "out.jsonl")]).stdout
    files = f"{folder / 'in.jsonl'} -o {folder / 'out.jsonl'}"
    assert f"continue  ratedispatch run {files} {' '.join(LIMITS)}\n" in standing
    again = seen(folder, server, "--probe", "60")
    assert (again["probe"]["rows"], again["probe"]["sent"]) == (60, 0)
    assert again["expected_bill"]["answered"] == 60
    more = seen(folder, server, "--probe", "80", "-q")
    assert more["probe"]["sent"] == 20  # a larger sample contains the smaller one
    whole = run(folder, env={"OPENAI_BASE_URL": server.base_url})
    assert whole.exit_code == 1
    stats = server.stats()
    assert (stats["arrived"], stats["answered"], stats["answered_twice"]) == (ROWS, ROWS, 0)
    usage = [line["response"]["body"]["usage"] for line in lines(folder / "out.jsonl")]
    billed = sum(one["completion_tokens"] for one in usage)
    assert more["expected_bill"]["output_tokens"] == pytest.approx(billed, rel=0.01)
    assert more["expected_bill"]["prompt_tokens"] == sum(one["prompt_tokens"] for one in usage)


@pytest.mark.slow
def test_a_probe_that_is_interrupted_goes_on(folder: Path, server: FakeServerProcess) -> None:
    """What was in flight is done; the same command sends the rest of the probe."""
    words = ["simulate", "in.jsonl", "-o", "out.jsonl", "--rpm", "60k", "--probe", "100"]
    with FakeServerProcess("--latency", "0.2", "--latency-sigma", "0") as slow:
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": slow.base_url}
        process = subprocess.Popen(
            [sys.executable, "-m", "ratedispatch", *words, "--max-in-flight", "4", "-q"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            for _ in range(600):
                if slow.stats()["answered"] >= 4:
                    break
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            printed, told = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 3, told
        assert "run the same command again" in told
        assert "Traceback" not in told + printed
        done = len(lines(folder / "out.jsonl"))
        assert 4 <= done < 100
    values = seen(folder, server, "--probe", "100", "--allow-other-server")
    assert values["probe"]["sent"] == 100 - done
    assert server.stats()["answered"] == 100 - done


def test_a_cap_on_the_cost_of_the_job_holds_for_its_probe(
    folder: Path, server: FakeServerProcess
) -> None:
    """Nothing is sent that might cost more; told as run tells it."""
    prices = ("--price-in", "1", "--price-out", "1")
    result = simulate(folder, server, "--probe", "5", "--max-cost", "0.0000001", *prices)
    assert result.exit_code == 3, result.output
    assert "raise --max-cost and run" in result.stderr
    assert server.stats()["arrived"] == 0


def test_a_probe_needs_an_output_an_input_that_stays_and_a_key(tmp_path: Path) -> None:
    """Each is one sentence, and nothing is written."""
    (tmp_path / "in.jsonl").write_text(row("a"))
    variables = {"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None}
    source, output = str(tmp_path / "in.jsonl"), ("-o", str(tmp_path / "out.jsonl"))
    for given, reason in (
        ((source,), "give -o FILE"),
        (("-", *output), "cannot read standard input"),
        ((source, *output), "OPENAI_API_KEY"),
    ):
        words = ["simulate", *given, *LIMITS, "--probe", "5"]
        result = CliRunner().invoke(main, words, env=variables)
        assert result.exit_code == 2
        assert reason in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_probe_of_which_no_row_can_be_sent_is_told_with_the_reason(folder: Path) -> None:
    """Nothing is sent, and no file is begun."""
    words = ["simulate", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"), "--tpm", "10"]
    result = CliRunner().invoke(main, [*words, "--probe", "5", "--fake", "-q"])
    assert result.exit_code == 2
    assert "--probe has no row that can be sent. Of 301 rows, 301 are not" in result.stderr
    assert not (folder / "out.jsonl.job").exists()
