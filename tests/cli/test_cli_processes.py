"""``run --processes N`` as its user meets it."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import lines, row, run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="looks for processes as Linux shows them"
)

KEY = "sk-very-secret-key-0123456789"
ROWS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.3", "--latency-sigma", "0") as child:
        yield child


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an input of sixty rows."""
    (tmp_path / "in.jsonl").write_text("".join(row(f"r{one}") + "\n" for one in range(ROWS)))
    return tmp_path


@contextlib.contextmanager
def started(
    folder: Path, server: FakeServerProcess, *flags: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own; it is killed in the end."""
    flags = ("--rpm", "none", "--tpm", "none", "--max-in-flight", "6", *flags)
    command = [sys.executable, "-m", "ratedispatch", "run", str(folder / "in.jsonl"), *flags]
    command += ["-o", str(folder / "out.jsonl"), "--base-url", server.base_url, "--json"]
    with subprocess.Popen(
        command,
        env={**os.environ, "OPENAI_API_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def hands_of(process: int) -> list[int]:
    """Return the processes that were started by another one."""
    return [
        int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def until_answers(folder: Path, count: int) -> None:
    """Wait until there are so many answers."""
    output, end = folder / "out.jsonl", time.perf_counter() + 60
    while not output.exists() or output.read_bytes().count(b"\n") < count:
        assert time.perf_counter() < end
        time.sleep(0.02)


def names(folder: Path) -> dict[str, int]:
    """Return how many answers each row has."""
    return dict(collections.Counter(line["custom_id"] for line in lines(folder / "out.jsonl")))


EACH_ONCE = {f"r{one}": 1 for one in range(ROWS)}


@pytest.mark.slow
def test_it_stops_and_goes_on_with_another_number(folder: Path, server: FakeServerProcess) -> None:
    """One output, one journal, one log, one report and its page; each row once."""
    log, page = folder / "log.jsonl", folder / "page.html"
    files = "--log-json", str(log), "--report", str(page)
    flags = ("--base-url", server.base_url, *files, "--json", "--quiet")
    first = run(folder, *flags, "--processes", "2", "--max-rows", "25")
    report = json.loads(first.stdout)
    assert (first.exit_code, report["answered"], report["stop_code"]) == (3, 25, "max_rows")
    second = run(folder, *flags, "--processes", "3")
    report = json.loads(second.stdout)
    assert (second.exit_code, report["answered"], report["resumed"]) == (0, ROWS, 25)
    assert (report["attempts"], report["in_doubt"], report["limits"]) == (
        35,
        0,
        {"requests": 60_000.0, "tokens": 10_000_000.0},
    )
    assert names(folder) == EACH_ONCE
    attempts = [line for line in lines(log) if line["event"] == "attempt"]
    assert sorted(line["custom_id"] for line in attempts) == sorted(EACH_ONCE)
    assert KEY not in log.read_text()
    assert f"All {ROWS} rows were answered" in page.read_text()
    assert "Run 2 of 2" in page.read_text()


@pytest.mark.slow
def test_one_that_is_killed_is_told_once_and_its_rows_are_answered(
    folder: Path, server: FakeServerProcess
) -> None:
    """By the others and by one that takes its place."""
    with started(folder, server, "--processes", "2") as process:
        until_answers(folder, 8)
        os.kill(hands_of(process.pid)[0], signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    report: dict[str, Any] = json.loads(out)
    assert process.returncode == 0, err
    assert names(folder) == EACH_ONCE
    assert err.count("was ended by SIGKILL (out of memory?); another process takes its place") == 1
    assert 0 < report["billed_twice_at_most"] <= 3
    assert report["attempts"] == ROWS + report["billed_twice_at_most"]


@pytest.mark.slow
def test_they_end_with_the_one_that_has_the_files(folder: Path, server: FakeServerProcess) -> None:
    """At once, and send nothing more; then one process alone goes on."""
    with started(folder, server, "--processes", "2", "--quiet") as process:
        until_answers(folder, 8)
        hands = hands_of(process.pid)
        assert len(hands) == 2
        process.kill()
        process.wait()
        end = time.perf_counter() + 1
        while any(Path(f"/proc/{hand}/exe").exists() for hand in hands):
            assert time.perf_counter() < end
            time.sleep(0.01)
    arrived = server.stats()["arrived"]
    time.sleep(0.2)
    assert server.stats()["arrived"] == arrived
    written = (folder / "out.jsonl").read_bytes().count(b"\n")
    with started(folder, server, "--quiet") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert names(folder) == EACH_ONCE
    # what was in flight, and answers that had come back and were not written yet
    assert 0 < json.loads(out)["billed_twice_at_most"] <= max(6, arrived - written)


@pytest.mark.slow
def test_an_interruption_drains_all_of_them(folder: Path, server: FakeServerProcess) -> None:
    """What is in flight is waited for; the same command goes on with another number."""
    with started(folder, server, "--processes", "2") as process:
        until_answers(folder, 8)
        for hand in hands_of(process.pid):  # a Ctrl-C comes to every process of the terminal
            os.kill(hand, signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    report = json.loads(out)
    assert (process.returncode, report["stop_code"]) == (3, "drained"), err
    assert report["in_doubt"] == report["billed_twice_at_most"] == 0
    assert report["answered"] == report["attempts"] == sum(names(folder).values())


@pytest.mark.slow
def test_a_stop_of_one_stops_all(folder: Path) -> None:
    """A key that is refused is told as ever: exit 2, and nothing is written."""
    with FakeServerProcess("--key", "another=60k:1M") as strict:
        flags = ("--base-url", strict.base_url, "--processes", "2", "--quiet")
        done = run(folder, *flags)
    assert done.exit_code == 2, done.output
    assert done.stderr.count("--api-key-env") == 1
    assert lines(folder / "out.jsonl") == []
