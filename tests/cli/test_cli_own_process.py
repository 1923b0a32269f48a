"""A run in a process of its own: interruptions, files that vanish, a full disk, closed streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import KEY, lines, row

if TYPE_CHECKING:
    from collections.abc import Callable

FAST = ("--rpm", "60k", "--tpm", "10M", "--quiet")


def answers(path: Path) -> list[str]:
    return sorted(line["custom_id"] for line in lines(path))


class Child:
    """The command in a process of its own, against a server that is slow."""

    def __init__(self, folder: Path, server: FakeServerProcess, *flags: str) -> None:
        self.folder = folder
        self.server = server
        self.command = [
            *(sys.executable, "-m", "ratedispatch", "run", "in.jsonl", "-o", "out.jsonl"),
            *("--base-url", server.base_url, *FAST, *flags),
        ]
        self.process = subprocess.Popen(
            self.command,
            cwd=folder,
            env={**os.environ, "OPENAI_API_KEY": KEY},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds; for half a minute at most."""
        for _ in range(1_500):
            if condition() or self.process.poll() is not None:
                return
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError("waited for half a minute")

    def wait_for_arrivals(self, count: int) -> None:
        """Wait until the server has met *count* requests."""
        self.wait_for(lambda: self.server.stats()["arrived"] >= count)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, output and errors."""
        output, errors = self.process.communicate(timeout=30)
        return self.process.returncode, output, errors


@pytest.mark.slow
def test_what_is_in_flight_is_waited_for_as_long_as_was_asked_and_told(tmp_path: Path) -> None:
    """Exit 3, the number that may have been billed, and the same at the next start."""
    (tmp_path / "in.jsonl").write_text("\n".join(row(str(i)) for i in range(30)))
    with FakeServerProcess("--latency", "60", "--latency-sigma", "0") as slow:
        child = Child(tmp_path, slow, "--max-in-flight", "8", "--drain-timeout", "0.3")
        child.wait_for_arrivals(8)
        child.process.send_signal(signal.SIGTERM)
        code, output, errors = child.end()
    assert code == 3, output + errors
    assert "waiting for 8 requests in flight, 0.3 s at most" in errors
    assert "8 given up in flight, which may have been billed" in output
    with FakeServerProcess("--latency", "0.01") as quick:
        again = Child(tmp_path, quick)
        code, output, errors = again.end()
    assert code == 0, output + errors
    assert "8 rows that may have been billed are sent again" in errors
    assert "8 at most billed twice" in output


@pytest.mark.slow
def test_an_output_that_is_removed_stops_the_job_and_is_put_back(tmp_path: Path) -> None:
    """Exit 3 with one sentence; nothing that had come is lost."""
    (tmp_path / "in.jsonl").write_text("\n".join(row(str(i)) for i in range(2_000)))
    with FakeServerProcess("--latency", "0.05", "--latency-sigma", "0") as server:
        child = Child(tmp_path, server, "--max-in-flight", "4", "--flush-interval", "0.1")
        child.wait_for(lambda: len(_text(tmp_path / "out.jsonl").splitlines()) > 5)
        (tmp_path / "out.jsonl").unlink()
        code, output, errors = child.end()
        assert code == 3, output + errors
        assert "out.jsonl was removed" in errors
        assert "Traceback" not in errors
        done = len(_text(tmp_path / "out.jsonl").splitlines())
        assert f"{done:,} answered" in output
        assert done == server.stats()["answered"]


@pytest.mark.slow
def test_no_room_for_a_copy_of_the_input_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    """A call of the system that wrote less than it was given must not pass for the whole."""
    text = "\n".join(row(str(i), user="x" * 500) for i in range(400))
    command = (
        f"ulimit -f 100; exec {sys.executable} -m ratedispatch run - -o out.jsonl --fake --quiet"
    )
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        # Python itself would leave cut files of compiled modules, which no later process can load
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_second_process_is_refused_at_once(tmp_path: Path) -> None:
    """While the first works on the same output."""
    (tmp_path / "in.jsonl").write_text("\n".join(row(str(i)) for i in range(50)))
    with FakeServerProcess("--latency", "5", "--latency-sigma", "0") as server:
        first = Child(tmp_path, server, "--max-in-flight", "2")
        first.wait_for_arrivals(2)
        code, _, errors = Child(tmp_path, server).end()
        first.process.kill()
        first.end()
    assert code == 2
    assert "another process is working on" in errors


@pytest.mark.slow
def test_no_key_stands_in_any_file_that_a_killed_job_leaves(tmp_path: Path) -> None:
    """Nor in the list of processes."""
    (tmp_path / "in.jsonl").write_text("\n".join(row(str(i)) for i in range(500)))
    with FakeServerProcess("--latency", "0.05", "--fault", "500=0.2") as server:
        child = Child(tmp_path, server, "--max-in-flight", "8", "--log-json", "log")
        child.wait_for(lambda: len(_text(tmp_path / "out.jsonl").splitlines()) > 20)
        process = Path(f"/proc/{child.process.pid}/cmdline")
        if process.exists():
            assert KEY.encode() not in process.read_bytes()
        child.process.kill()
        child.end()
    for path in tmp_path.iterdir():
        assert KEY.encode() not in path.read_bytes(), path
    assert (tmp_path / "out.jsonl.job").stat().st_mode & 0o777 == 0o600


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.slow
@pytest.mark.parametrize("stream", [">&-", "2>&-"])
def test_a_closed_stream_changes_no_exit_code(tmp_path: Path, stream: str) -> None:
    """Nobody reads what is said; the job went well all the same."""
    (tmp_path / "in.jsonl").write_text(row("a"))
    command = f"{sys.executable} -m ratedispatch run in.jsonl -o out.jsonl --fake --quiet {stream}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == 0
    assert answers(tmp_path / "out.jsonl") == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_before_anything_was_sent_is_one_sentence(
    tmp_path: Path, number: signal.Signals
) -> None:
    """While the program is still being imported, too; never the code of rows that failed."""
    (tmp_path / "in.jsonl").write_text(row("a"))
    for delay in (0.15, 0.35):
        with FakeServerProcess("--latency", "30") as server:
            child = Child(tmp_path, server)
            time.sleep(delay)
            child.process.send_signal(number)
            time.sleep(0.3)
            child.process.send_signal(number)
            code, _, errors = child.end()
        # before Python has begun it is the system's; once the loop runs, it is a stop
        assert code in {3, 130, -number}, errors
        assert "Traceback" not in errors or "ratedispatch/cli" not in errors  # Python's own start
        assert "Aborted" not in errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -2), (signal.SIGTERM, 3)])
def test_an_interruption_during_the_imports_leaves_no_traceback(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """The first module that the command line imports is replaced by one that interrupts."""
    (tmp_path / "click.py").write_text(
        f"import os, time\nos.kill(os.getpid(), {number.value})\ntime.sleep(60)\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "ratedispatch", "--version"],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert not done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interruption_ends_the_command_while_the_first_is_told(
    number: signal.Signals,
) -> None:
    """It ends with the code of the first, and says no more."""
    program = f"""
import os, time
from ratedispatch.cli import interrupt

def say(text):
    os.kill(os.getpid(), {number.value})
    time.sleep(60)

interrupt.say = say
with interrupt.interruptible():
    os.kill(os.getpid(), {number.value})
    time.sleep(60)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == (3 if number is signal.SIGTERM else 130)
    assert not done.stderr
