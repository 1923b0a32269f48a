"""The command as its user meets it: real processes, a real server, real mistakes."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import openai
import pytest
from click.testing import CliRunner

import ratedispatch as rd
from ratedispatch.cli import main
from ratedispatch.jobs.sink import LineSink
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import ENDPOINTS, KEY, lines, row, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.01", "--api-key", KEY) as child:
        yield child


def test_rows_of_all_endpoints_are_answered_in_one_file(
    tmp_path: Path, server: FakeServerProcess
) -> None:
    """Each with its own shape of answer; the last line is a sentence."""
    rows = [row(f"{i}-{url}", url) for i in range(5) for url in ENDPOINTS]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    result = run(tmp_path, "--base-url", server.base_url)
    assert result.exit_code == 0, result.output
    answers = lines(tmp_path / "out.jsonl")
    assert sorted(a["custom_id"] for a in answers) == sorted(
        json.loads(r)["custom_id"] for r in rows
    )
    shapes = {
        "/v1/chat/completions": "choices",
        "/v1/completions": "choices",
        "/v1/responses": "output",
        "/v1/embeddings": "data",
    }
    for answer in answers:
        assert answer["response"]["status_code"] == 200
        assert shapes[answer["custom_id"].split("-", 1)[1]] in answer["response"]["body"]
    last = result.stdout.splitlines()[-1]
    assert last.startswith("20 answered, 0 failed in ")
    assert "of the request limit" in last
    assert (tmp_path / "out.errors.jsonl").read_bytes() == b""


def test_bad_lines_fail_with_their_number_and_the_others_run(
    tmp_path: Path, server: FakeServerProcess
) -> None:
    """Exit 1; every bad line is in the errors file, once."""
    texts = [
        row("a"),
        "not json",
        "[]",
        json.dumps({"url": "/v1/responses", "body": {}}),
        json.dumps({"custom_id": "no-url", "body": {}}),
        json.dumps({"custom_id": "no-body", "url": "/v1/responses"}),
        json.dumps({"custom_id": "x", "url": "/v1/unknown", "body": {}}),
        row("a"),
        row("z"),
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(texts))
    result = run(tmp_path, "--base-url", server.base_url)
    assert result.exit_code == 1, result.output
    assert sorted(a["custom_id"] for a in lines(tmp_path / "out.jsonl")) == ["a", "z"]
    errors = lines(tmp_path / "out.errors.jsonl")
    assert sorted(e["error"]["line"] for e in errors if "line" in e["error"]) == [
        2,
        3,
        4,
        5,
        6,
        7,
        8,
    ]
    assert "2 answered, 7 failed" in result.stdout
    assert "7 rows failed (6 × invalid_line, 1 × duplicate_custom_id)" in result.stderr
    assert f"the reason for each row is in {tmp_path / 'out.errors.jsonl'}" in result.stderr


def test_the_same_command_again_sends_nothing(job: Path, server: FakeServerProcess) -> None:
    """A finished job is finished."""
    assert run(job, "--base-url", server.base_url).exit_code == 0
    before = (job / "out.jsonl").read_bytes()
    sent = server.stats()["arrived"]
    result = run(job, "--base-url", server.base_url)
    assert result.exit_code == 0
    assert (job / "out.jsonl").read_bytes() == before
    assert server.stats()["arrived"] == sent
    assert "1 answered, 0 failed (1 of them by an earlier run)" in result.stdout


def test_the_report_as_json(job: Path, server: FakeServerProcess) -> None:
    """One object on standard output, and nothing else."""
    result = run(
        job, "--base-url", server.base_url, "--json", "--errors-file", str(job / "bad.jsonl")
    )
    report = json.loads(result.stdout)
    assert (report["answered"], report["failed"], report["stop_code"]) == (1, 0, None)
    assert (job / "bad.jsonl").exists()


def test_strange_texts_are_counted_and_sent(tmp_path: Path, server: FakeServerProcess) -> None:
    """Special tokens, half of a surrogate pair, a million spaces: never a crash."""
    texts = ["<|endoftext|>", "half \ud800 pair", " " * 1_000_000, "a" * 300_000, "\x00\x85"]
    rows = [
        row(str(i), messages=[{"role": "user", "content": text}]) for i, text in enumerate(texts)
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    result = run(tmp_path, "--base-url", server.base_url)
    assert result.exit_code == 0, result.output
    assert len(lines(tmp_path / "out.jsonl")) == 5


def test_a_wrong_key_stops_at_once_and_is_not_shown(job: Path, server: FakeServerProcess) -> None:
    """401: exit 2, what to do, no storm, no key anywhere."""
    (job / "in.jsonl").write_text("\n".join(row(str(i)) for i in range(500)))
    before = server.stats()["arrived"]
    wrong = "sk-wrong-key-9876543210"
    result = run(job, "--base-url", server.base_url, env={"OPENAI_API_KEY": wrong})
    assert result.exit_code == 2
    assert "OPENAI_API_KEY" in result.stderr
    assert server.stats()["arrived"] - before <= 500
    everything = result.output + "".join(
        path.read_text() for path in job.iterdir() if path.name != "in.jsonl"
    )
    assert wrong not in everything


def test_a_key_that_the_server_repeats_reaches_no_file(job: Path) -> None:
    """A server that echoes what it was sent, in answers and in errors."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.findall(r"content-length: (\d+)", head, re.IGNORECASE)[0])
        text = (await reader.readexactly(length)).decode()
        status = "200 OK" if "good" in text else "400 Bad Request"
        choice = {"message": {"role": "assistant", "content": head}}
        body = json.dumps({"choices": [choice], "error": None if "good" in text else head})
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()
        )
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
                await rd.run_file(
                    job / "in.jsonl", job / "out.jsonl", client=client, limits=rd.Limits(60_000)
                )

    good = row("good", messages=[{"role": "user", "content": "good"}])
    (job / "in.jsonl").write_text(good + "\n" + row("bad"))
    asyncio.run(main())
    for name in ("out.jsonl", "out.errors.jsonl"):
        text = (job / name).read_text()
        assert "[key removed]" in text
        assert KEY not in text


def test_an_unknown_model_stops_within_a_round_trip(job: Path, server: FakeServerProcess) -> None:
    """404: exit 2 and what to check; nothing is written as failed."""
    rows = [row(str(i), model="no-such-model-5") for i in range(500)]
    (job / "in.jsonl").write_text("\n".join(rows))
    result = run(job, "--base-url", server.base_url, "--rpm", "600")
    assert result.exit_code == 2
    assert "model" in result.stderr
    assert (job / "out.errors.jsonl").read_bytes() == b""


def test_a_full_disk_is_told_and_nothing_is_claimed_that_is_not_written(
    job: Path, server: FakeServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3; the report counts what the file holds, and the same command does the rest."""
    (job / "in.jsonl").write_text("\n".join(row(str(i)) for i in range(30)))
    flush = LineSink.flush

    def full(self: LineSink) -> None:
        if self.path.name == "out.jsonl":
            raise OSError(28, "No space left on device")
        flush(self)

    with monkeypatch.context() as patch:
        patch.setattr(LineSink, "flush", full)
        result = run(job, "--base-url", server.base_url)
    assert result.exit_code == 3
    assert "No space left on device" in result.stderr
    assert "0 answered, 0 failed, 30 not yet answered" in result.stdout
    assert run(job, "--base-url", server.base_url).exit_code == 0
    assert len(lines(job / "out.jsonl")) == 30


@pytest.mark.slow
@pytest.mark.parametrize(("interruptions", "code"), [(1, 3), (2, 130)])
def test_the_first_interruption_drains_and_the_second_cancels(
    tmp_path: Path, interruptions: int, code: int
) -> None:
    """The files are whole after both, and the same command finishes the job."""
    (tmp_path / "in.jsonl").write_text("\n".join(row(str(i)) for i in range(400)))
    latency = "0.5" if interruptions == 1 else "30"
    with FakeServerProcess("--latency", latency, "--latency-sigma", "0") as slow:
        command = [sys.executable, "-m", "ratedispatch", "run", str(tmp_path / "in.jsonl")]
        command += ["-o", str(tmp_path / "out.jsonl"), "--rpm", "3000", "--tpm", "2M"]
        child = subprocess.Popen(
            [*command, "--base-url", slow.base_url],
            env={**os.environ, "OPENAI_API_KEY": KEY},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        guard = threading.Timer(30, child.kill)
        guard.start()
        while slow.stats()["arrived"] < 5 and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        told = child.stderr.readline()
        if interruptions == 2:
            child.send_signal(signal.SIGTERM)
        output, errors = child.communicate()
        guard.cancel()
    assert child.returncode == code, output + errors
    assert "stopping: waiting for" in told
    done = lines(tmp_path / "out.jsonl")
    assert len(done) < 400
    with FakeServerProcess("--latency", "0.01") as quick:
        result = run(tmp_path, "--base-url", quick.base_url, "--allow-other-server")
        assert result.exit_code == 0, result.output
        assert quick.stats()["arrived"] == 400 - len(done)
    answers = [answer["custom_id"] for answer in lines(tmp_path / "out.jsonl")]
    assert sorted(answers) == sorted(str(i) for i in range(400))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_the_sentence_on_an_interruption_stays_on_the_terminal(job: Path) -> None:
    """The frame of the progress display is wiped before it, and not together with it."""
    import pty

    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "ratedispatch", "run", str(job / "in.jsonl")]
    command += ["-o", str(job / "out.jsonl"), "--rpm", "3000", "--tpm", "2M"]
    with FakeServerProcess("--latency", "1.5", "--latency-sigma", "0") as slow:
        child = subprocess.Popen(
            [*command, "--base-url", slow.base_url],
            env={**os.environ, "OPENAI_API_KEY": KEY, "TERM": "xterm"},
            stdout=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        guard = threading.Timer(30, child.kill)
        guard.start()
        while not slow.stats()["arrived"] and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        shown = b""
        while True:
            try:
                part = os.read(keyboard, 65_536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        child.wait()
        guard.cancel()
    os.close(keyboard)
    before, _, after = shown.partition(b"stopping: waiting for")
    assert b"interrupt again to" in after
    assert before.endswith(b"\x1b[2K"), before[-200:]
    assert b"stopping" in after, "the display says so too"


@pytest.mark.parametrize("packed", ["in.jsonl.gz", "in.jsonl.zst"])
def test_a_packed_file_is_sent_like_a_plain_one(job: Path, packed: str) -> None:
    """The same rows, by `plan` and by `run`; a resumed job finds its input unchanged."""
    plain = (job / "in.jsonl").read_bytes()
    path = job / packed
    if packed.endswith(".gz"):
        path.write_bytes(gzip.compress(plain))
    else:
        path.write_bytes(pytest.importorskip("zstandard").compress(plain))
    plans = [
        json.loads(
            CliRunner().invoke(main, ["plan", str(file), "--rpm", "60", "--quiet", "--json"]).stdout
        )
        for file in (path, job / "in.jsonl")
    ]
    assert plans[0] == plans[1]
    arguments = ["run", str(path), "-o", str(job / "out.jsonl"), "--fake", "--quiet", "--json"]
    for _ in range(2):
        result = CliRunner().invoke(main, arguments)
        report = json.loads(result.stdout)
        assert report["answered"] + report["failed"] == plans[0]["rows"]


def test_a_packed_file_that_was_cut_off_is_refused_before_anything_is_sent(job: Path) -> None:
    path = job / "in.jsonl.gz"
    path.write_bytes(gzip.compress((job / "in.jsonl").read_bytes())[:-20])
    arguments = ["run", str(path), "-o", str(job / "out.jsonl"), "--fake", "--quiet"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "in.jsonl.gz" in result.stderr
    assert "Traceback" not in result.output
