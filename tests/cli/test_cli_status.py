"""``ratedispatch status`` beside a real run that holds the job, and after it was killed."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from tests.cli.run_command import KEY, row, run

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "ratedispatch"]
ENVIRONMENT = {**os.environ, "OPENAI_API_KEY": KEY}

#: Looks at another process, 50 ms apart, after which a test gives up.
LOOKS = 600


def status(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(main, ["status", *(words or (str(folder / "out.jsonl"),))])


def values(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(folder, str(folder / "out.jsonl"), "--json").output)
    return found


def wait_for_answers(folder: Path, count: int) -> dict[str, Any]:
    """Look at the job until it has *count* answers."""
    for _ in range(LOOKS):
        if (folder / "out.jsonl").exists():
            found = values(folder)
            if found["answered"] >= count:
                return found
        time.sleep(0.05)
    raise AssertionError("no answers came")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_is_seen_from_outside_killed_and_gone_on_with(tmp_path: Path, processes: int) -> None:
    """Its state is that of its kernel lock; the command it shows goes on where it stopped."""
    (tmp_path / "in.jsonl").write_text("".join(row(f"r{at}") + "\n" for at in range(2_000)))
    words = ["in.jsonl", "-o", "out.jsonl", "--fake", "--rpm", "6000", "--quiet"]
    words += ["--processes", str(processes), "--no-memory"]
    process = subprocess.Popen(
        [*COMMAND, "run", *words],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        found = wait_for_answers(tmp_path, 20)
        assert (found["state"], found["rows"]) == ("running", 2_000)
        assert found["parts"][0]["command"] == ["ratedispatch", "run", *words]
        assert found["parts"][0]["process"] == process.pid
        shown = status(tmp_path)
        assert shown.exit_code == 0
        assert f", process {process.pid}" in shown.output
    finally:
        process.kill()
        process.wait()
    dead = wait_for_state(tmp_path, "dead")
    assert 20 <= dead["answered"] < 2_000
    assert dead["in_doubt"] <= 512
    shown = status(tmp_path)
    assert shown.exit_code == 3
    assert f"cd {tmp_path} && ratedispatch run {' '.join(words)}" in shown.output
    assert KEY not in (tmp_path / "out.jsonl.job").read_text()


def wait_for_state(folder: Path, state: str) -> dict[str, Any]:
    """Wait until the children of a killed process have let go, too."""
    for _ in range(LOOKS):
        found = values(folder)
        if found["state"] == state:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_a_finished_job_is_shown_by_lines_and_by_its_exit_code(job: Path) -> None:
    """With what was spent, and why rows failed."""
    (job / "in.jsonl").write_text(row("a") + "\nbroken\n")
    run(job, "--fake", "--quiet", "--no-memory")
    shown = status(job)
    assert shown.exit_code == 1
    first, rows, failures = shown.output.splitlines()
    assert "finished at" in first
    assert rows.endswith("2 of 2 rows (100%): 1 answered, 1 failed")
    assert failures.split() == ["failures", "1", "invalid_line"]


def test_an_errors_file_that_is_missing_is_told(job: Path) -> None:
    """Its rows had failed; without it they look as if they were never sent."""
    (job / "in.jsonl").write_text(row("a") + "\nbroken\n")
    run(job, "--fake", "--quiet", "--no-memory")
    (job / "out.errors.jsonl").unlink()
    shown = status(job)
    assert shown.exit_code == 3
    assert "out.errors.jsonl is missing; it held the rows that failed: 1" in shown.output
    page = job / "r.html"
    made = CliRunner().invoke(main, ["report", str(job / "out.jsonl"), "-o", str(page)])
    assert made.exit_code == 0
    assert "The errors file out.errors.jsonl is missing" in page.read_text()


def test_a_trial_has_spent_nothing_unless_it_was_asked_what_it_would_cost(job: Path) -> None:
    """As the report of the run has it."""
    run(job, "--fake", "--quiet", "--no-memory")
    assert values(job)["spent_usd"] is None
    for path in job.glob("out.*"):
        path.unlink()
    prices = ["--price-in", "1234.567", "--price-out", "0"]
    told = run(job, "--fake", "--no-memory", *prices).output
    assert values(job)["spent_usd"] == pytest.approx(0.009876536)
    assert "cost $0.0099." in told
    assert status(job).output.split()[-2:] == ["spent", "$0.0099"]  # rounded as the run has it


@pytest.mark.parametrize("name", [".", "/"])
def test_a_folder_belongs_to_no_job(name: str) -> None:
    """It has no name beside which a job file could be."""
    shown = CliRunner().invoke(main, ["status", name])
    assert shown.exit_code == 2
    assert f"{name} is a folder; give the file that run wrote" in shown.output


def test_control_characters_are_escaped(job: Path) -> None:
    """The message of a stop comes from outside."""
    run(job, "--fake", "--quiet", "--no-memory")
    journal = job / "out.jsonl.job"
    text = journal.read_bytes().replace(
        b'"code": "", "message": ""', b'"code": "x", "message": "\\u001b[2J\\nrows"'
    )
    journal.write_bytes(text)
    (job / "out.jsonl").write_bytes(b"")
    shown = status(job)
    assert shown.exit_code == 3
    assert "\\x1b[2J\\nrows" in shown.output
    assert "\x1b" not in shown.output


def test_a_shell_reads_back_the_command_to_go_on(tmp_path: Path) -> None:
    """Also where a name has the end of a line in it, which would be another name if escaped."""
    folder = tmp_path / "two  spaces\nand 'lines'"
    folder.mkdir()
    (folder / "in.jsonl").write_text(row("a"))
    run(folder, "--fake", "--quiet", "--no-memory")
    (folder / "out.jsonl").write_bytes(b"")
    found = status(folder).output.splitlines()
    line = next(line for line in found if line.strip().startswith("continue"))
    _, _, command = line.partition("continue")
    script = f"printf '%s\\0' {command}"
    out = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    words = out.decode().split("\0")
    assert words[:5] == [
        "ratedispatch", "run", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl")
    ]  # fmt: skip


def test_a_flag_with_a_number_or_without(job: Path) -> None:
    """A file behind --watch is not taken for its seconds; the watch ends with the job."""
    run(job, "--fake", "--quiet", "--no-memory")
    out = str(job / "out.jsonl")
    for words in ([out, "--watch"], ["--watch", out], ["--watch", "5", out], [out, "--watch=5"]):
        shown = status(job, *words)
        assert shown.exit_code == 0
        assert shown.output.splitlines() == [
            line for line in shown.output.splitlines() if line.startswith("finished, 1 of 1 rows")
        ]
    assert status(job, out, "--watch", "0").exit_code == 2
    assert status(job, str(job / "in.jsonl")).exit_code == 2


@pytest.mark.slow
def test_on_a_terminal_the_picture_is_drawn_anew_and_left_by_ctrl_c(job: Path) -> None:
    """The cursor comes back; the exit code is that of the job."""
    run(job, "--fake", "--quiet", "--no-memory")
    import fcntl

    (job / "out.jsonl").write_bytes(b"")
    with (job / "out.jsonl.job").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, "status", "--watch", "0.1", "out.jsonl"],
            cwd=job,
            env={**ENVIRONMENT, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        text = b""
        while text.count(b"rows ") < 3:
            text += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:
                break
            if not block:
                break
            text += block
        assert process.wait() == 0
        os.close(ours)
    assert b"Traceback" not in text
    assert text.rindex(b"\x1b[?25h") > text.rindex(b"\x1b[?25l")
