"""What a run finds out before its first row: its server, its proxy, its open files, its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ratedispatch.cli.fake_account import _plain_environment
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-start-0123456789abcdef"


@pytest.fixture(autouse=True)
def _rows(tmp_path: Path) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
    rows = [{"custom_id": name, "url": "/v1/chat/completions", "body": body} for name in "abc"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(folder: Path, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the job of *folder* in a process of its own, with *variables* in its environment."""
    command = [sys.executable, "-m", "ratedispatch", "run", "in.jsonl", "-o", "out.jsonl"]
    environment = {**os.environ, "OPENAI_API_KEY": KEY, **variables}
    return subprocess.run(
        [*command, "--quiet", *flags],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_answers_of_another_server_are_not_put_beside_those_there_are(tmp_path: Path) -> None:
    """Both are named; after --fake a real server is another one, and the flag allows it."""
    assert run(tmp_path, "--fake", "--max-rows", "2").returncode == 3
    with FakeServerProcess() as server:
        url = server.base_url
        refused = run(tmp_path, "--base-url", url)
        assert refused.returncode == 2
        assert (
            f"2 answers from a fake server (--fake), but this run would add answers from {url}"
            in (refused.stderr)
        )
        assert server.stats()["arrived"] == 0
        allowed = run(tmp_path, "--base-url", url, "--allow-other-server")
        assert (allowed.returncode, server.stats()["arrived"]) == (0, 1)
        # from now on it is a job of that server, however its address is spelt
        assert run(tmp_path, "--base-url", url.replace("http", "HTTP") + "/").returncode == 0
    assert run(tmp_path, "--fake").returncode == 2


def test_a_wrong_address_can_be_corrected(tmp_path: Path) -> None:
    """Nothing was answered there, so nothing is mixed."""
    with FakeServerProcess() as server:
        wrong = run(tmp_path, "--base-url", server.base_url.replace("/v1", "/v9"))
        assert not (tmp_path / "out.jsonl").read_text()
        assert wrong.returncode in {1, 2, 3}
        right = run(tmp_path, "--base-url", server.base_url, "--retry-failed")
    assert right.returncode == 0, right.stderr


def test_an_old_job_file_goes_on(tmp_path: Path) -> None:
    """One that does not tell its server takes that of the next run."""
    assert run(tmp_path, "--fake", "--max-rows", "1").returncode == 3
    job = tmp_path / "out.jsonl.job"
    first, _, rest = job.read_bytes().partition(b"\n")
    manifest = json.loads(first)
    assert manifest.pop("origin") == "a fake server (--fake)"
    job.write_bytes(json.dumps(manifest).encode() + b"\n" + rest)
    with FakeServerProcess() as server:
        assert run(tmp_path, "--base-url", server.base_url).returncode == 0
    assert run(tmp_path, "--fake").returncode == 2


def test_a_fake_server_is_asked_without_a_proxy(tmp_path: Path) -> None:
    """One of the environment leads nowhere."""
    nowhere = "http://127.0.0.1:9"
    result = run(tmp_path, "--fake", HTTP_PROXY=nowhere, HTTPS_PROXY=nowhere, all_proxy=nowhere)
    assert result.returncode == 0, result.stderr


def test_a_fake_server_knows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets what Python needs and nothing else."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MY_PROVIDER", KEY)
    found = _plain_environment()
    assert found["PATH"] == os.environ["PATH"]
    assert KEY not in found.values()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_too_few_open_files_are_found_before_the_first_row(tmp_path: Path) -> None:
    """One sentence with both numbers, exit 2, and no file of the job."""
    command = (
        f"ulimit -n 12; exec {sys.executable} -m ratedispatch run in.jsonl -o out.jsonl --fake"
    )
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "may open 12 files, but a job needs 32" in result.stderr
    assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == ["in.jsonl"]  # noqa: PTH208  (names are what is compared)


def test_a_log_follows_no_link(tmp_path: Path) -> None:
    """What it points to stays as it is."""
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / "log.jsonl").symlink_to(other)
    result = run(tmp_path, "--fake", "--log-json", "log.jsonl")
    assert result.returncode == 2
    assert "it is a link, and links are not followed" in result.stderr
    assert other.read_text() == "mine"
    assert "standard output" in run(tmp_path, "--fake", "--log-json", "-").stderr


@pytest.mark.parametrize("ending", [".job", ".errors.jsonl", ".stale"])
def test_no_file_beside_the_output_is_made_through_a_link(tmp_path: Path, ending: str) -> None:
    """Neither is what it points to touched, nor what it would make."""
    other = tmp_path / "other"
    other.write_text("mine")
    name = "out.errors.jsonl" if ending == ".errors.jsonl" else f"out.jsonl{ending}"
    for target in (other, tmp_path / "missing"):
        (tmp_path / name).symlink_to(target)
        result = run(tmp_path, "--fake")
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        (tmp_path / name).unlink()
    assert other.read_text() == "mine"
    assert not (tmp_path / "missing").exists()


def test_a_link_in_the_place_of_the_new_job_file_is_removed(tmp_path: Path) -> None:
    """It is made for a moment, under a name that anybody can tell."""
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / "out.jsonl.job.new").symlink_to(other)
    assert run(tmp_path, "--fake").returncode == 0
    assert other.read_text() == "mine"


@pytest.mark.parametrize("length", [221, 244, 300])
def test_a_name_too_long_is_one_sentence(tmp_path: Path, length: int) -> None:
    """With the lengths."""
    result = run(tmp_path, "--fake", "-o", "x" * (length - 6) + ".jsonl")
    assert result.returncode == 2
    assert f"has {length} bytes" in result.stderr
    assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == ["in.jsonl"]  # noqa: PTH208  (names are what is compared)


def test_an_output_that_is_cut_while_the_job_runs_is_whole_after_the_same_command(
    tmp_path: Path,
) -> None:
    """It stops, says so, and each row stands there once."""
    line = (tmp_path / "in.jsonl").read_text().splitlines()[0]
    rows = [line.replace('"a"', f'"{number}"') for number in range(400)]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    output = tmp_path / "out.jsonl"
    with FakeServerProcess("--latency", "0.2") as server:
        flags = ("--base-url", server.base_url, "--rpm", "6000", "--tpm", "none")
        command = [sys.executable, "-m", "ratedispatch", "run", "in.jsonl", "-o", "out.jsonl"]
        process = subprocess.Popen(
            [*command, "--quiet", *flags],
            cwd=tmp_path,
            env={**os.environ, "OPENAI_API_KEY": KEY},
            stderr=subprocess.PIPE,
            text=True,
        )
        while not output.exists() or output.stat().st_size < 5_000:
            assert process.poll() is None
        os.truncate(output, 3_001)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 3, errors
        assert "was truncated by another program" in errors
        again = run(tmp_path, *flags)
    assert again.returncode == 0, again.stderr
    found = [json.loads(text)["custom_id"] for text in output.read_text().splitlines()]
    assert sorted(found) == sorted(str(number) for number in range(400))
