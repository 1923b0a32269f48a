"""SIGTERM, as a system sends it before it takes the machine back: the real command, stopped."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.job import Job
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.outputs.table import OutputFormat
from ratedispatch.jobs.state.paths import files_of
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.server.child import FakeServerProcess
from ratedispatch.simulate.transport import ProviderTransport
from tests.cli.run_command import KEY, row
from tests.jobs.played_job import FAST, SLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from ratedispatch.observe.report import Report

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")

#: Seconds that a command may take to end after a SIGTERM; the system would kill it after 30.
_SOON = 10.0


class Stopped:
    """
    The command in a process of its own, stopped by SIGTERM.

    Args:
        folder: Where it runs.
        arguments: Of ``run``, but for the output.
        feed: Whether its standard input is left open, with nothing on it.
    """

    def __init__(self, folder: Path, *arguments: str, feed: bool = False) -> None:
        command = [sys.executable, "-m", "ratedispatch", "run", *arguments, "-o", "out.jsonl"]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "OPENAI_API_KEY": KEY},
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.guard = threading.Timer(60, self.process.kill)
        self.guard.start()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition() and self.process.poll() is None:
            time.sleep(0.02)

    def stop(self) -> tuple[int, str, float]:
        """Send the signal; return the exit code, the messages, and the seconds until the end."""
        begin = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        # what holds standard input open has to stay, as a terminal does
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        code = self.process.wait()
        seconds = time.perf_counter() - begin
        self.guard.cancel()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code, errors, seconds


def fast_flags(server: FakeServerProcess) -> list[str]:
    return ["--base-url", server.base_url, "--rpm", "60k", "--tpm", "10M"]


def test_a_run_that_still_reads_its_input_is_resumable(tmp_path: Path) -> None:
    """Nothing was sent and nothing written: the same command starts again."""
    child = Stopped(tmp_path, "-", "--rpm", "60", "--base-url", "http://127.0.0.1:9", feed=True)
    scratch = f"/proc/{child.process.pid}/fd"
    if os.path.isdir(scratch):  # noqa: PTH112
        child.wait_until(lambda: _has_scratch(scratch))
    else:
        time.sleep(1.0)
    code, errors, seconds = child.stop()
    assert code == 3, errors
    assert "cancelled; run the same command again to start over or resume" in errors
    assert "Traceback" not in errors
    assert seconds < _SOON
    assert not list(tmp_path.iterdir())


def _has_scratch(folder: str) -> bool:
    """Whether the copy of the input is open, a file without a name: the command is reading it."""
    found = []
    for name in os.listdir(folder):  # noqa: PTH208
        try:
            found.append(os.readlink(os.path.join(folder, name)))  # noqa: PTH115, PTH118
        except OSError:
            continue
    return any("(deleted)" in name for name in found)


@pytest.mark.slow
def test_a_run_that_is_paused_by_a_refusal_ends_at_once(tmp_path: Path) -> None:
    """Nothing is in flight, however long the server wants it to wait."""
    (tmp_path / "in.jsonl").write_text("\n".join(row(str(number)) for number in range(50)))
    with FakeServerProcess("--rpm", "2", "--latency", "0.01") as server:
        child = Stopped(tmp_path, "in.jsonl", *fast_flags(server))
        child.wait_until(lambda: server.stats()["refused"])
        time.sleep(0.5)  # what was in flight has come back
        code, errors, seconds = child.stop()
    assert code == 3, errors
    assert seconds < _SOON
    assert "run the same command again to resume" in errors


class SlowIndex:
    """Stands in for what makes a table, at the pace of a huge one; runs until it is stopped."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.rows = 0

    def write(self, _target: Path, _format: OutputFormat, **options: Any) -> int:
        rows: Callable[[], Iterator[object]] = options["rows"]
        while True:
            self.begun.set()
            for _ in rows():
                self.rows += 1


@pytest.mark.parametrize("timeout", [0.0, 0.2])
def test_a_table_that_takes_too_long_is_left_to_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: float
) -> None:
    """All rows are answered, and yet the run is not done: it says so, and the next one is."""
    import asyncio

    from ratedispatch.jobs import final_table

    (tmp_path / "in.csv").write_text("text\na\nb\n")
    slow = SlowIndex()
    options = JobOptions(template=Template("{text}", model="gpt-4o"))

    def job() -> Job:
        output = tmp_path / "out.csv"
        return Job(files_of(tmp_path / "in.csv", output, None, OutputFormat.CSV), FAST, options)

    async def stopped() -> Report:
        made = job()

        async def stop() -> None:
            await asyncio.to_thread(slow.begun.wait)
            made.drain(timeout)

        stopping = asyncio.create_task(stop())
        report = await made.run(ProviderTransport(SLOW, random.Random(1)))
        await stopping
        return report

    with monkeypatch.context() as patch:
        patch.setattr(final_table, "write_table", slow.write)
        report = asyncio.run(stopped())
    assert (report.answered, report.unanswered, report.stop_code) == (2, 0, "drained")
    assert report.stop_message == "the run was asked to stop before its table was written"
    assert not (tmp_path / "out.csv").exists()

    async def again() -> Report:
        return await job().run(ProviderTransport(SLOW, random.Random(1)))

    report = run_virtual(again())
    assert (report.attempts, report.stop_code) == (0, None)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


@pytest.mark.slow
def test_a_shard_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """Its rows in flight are given up in time, and sent again."""
    (tmp_path / "in.jsonl").write_text("\n".join(row(str(number)) for number in range(20)))
    shard = ("--shard", "1/2")
    with FakeServerProcess("--latency", "60", "--latency-sigma", "0") as slow:
        flags = [*fast_flags(slow), *shard, "--drain-timeout", "0.2"]
        child = Stopped(tmp_path, "in.jsonl", *flags)
        child.wait_until(lambda: slow.stats()["arrived"] >= 10)
        code, errors, seconds = child.stop()
        assert (code, seconds < _SOON) == (3, True), errors
    with FakeServerProcess("--latency", "0.01") as quick:
        child = Stopped(tmp_path, "in.jsonl", *fast_flags(quick), *shard)
        _, errors = child.process.communicate(timeout=60)
        child.guard.cancel()
        assert child.process.returncode == 0, errors
        assert "10 rows that may have been billed are sent again" in errors
        assert quick.stats()["arrived"] == 10
