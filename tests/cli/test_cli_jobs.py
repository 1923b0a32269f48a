"""A job as its user meets it: going on, tables, pipes, interruptions, files that vanish."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "sk-very-secret-key-0123456789"
FAST = ("--rpm", "60k", "--tpm", "10M", "--quiet")


def row(name: str, text: str = "hi") -> str:
    body = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 5,
    }
    return json.dumps(
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    )


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.01") as child:
        yield child


@pytest.fixture
def run(server: FakeServerProcess, tmp_path: Path) -> Callable[..., Any]:
    """Run the command in this process, in a folder of its own."""

    def invoke(*arguments: str, stdin: bytes | None = None) -> Any:
        command = ["run", *arguments, *FAST, "--base-url", server.base_url]
        return CliRunner().invoke(main, command, env={"OPENAI_API_KEY": KEY}, input=stdin)

    os.chdir(tmp_path)
    return invoke


@pytest.fixture(autouse=True)
def _stay_here() -> Iterator[None]:
    here = Path.cwd()
    yield
    os.chdir(here)


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in Path(name).read_text().splitlines()]


def answers(name: str) -> list[str]:
    return sorted(line["custom_id"] for line in lines(name))


def test_a_finished_job_sends_nothing_more(
    run: Callable[..., Any], server: FakeServerProcess
) -> None:
    """Exit 0 twice, and the files stay as they were."""
    Path("in.jsonl").write_text("\n".join(row(str(i)) for i in range(20)))
    assert run("in.jsonl", "-o", "out.jsonl").exit_code == 0
    before, sent = Path("out.jsonl").read_bytes(), server.stats()["arrived"]
    again = run("in.jsonl", "-o", "out.jsonl")
    assert again.exit_code == 0
    assert "20 of them by an earlier run" in again.stdout
    assert Path("out.jsonl").read_bytes() == before
    assert server.stats()["arrived"] == sent


def test_rows_that_failed_stay_failed_until_they_are_to_be_tried_again(
    run: Callable[..., Any],
) -> None:
    """--retry-failed; a row stands in one of both files at any time."""
    Path("in.jsonl").write_text(
        row("good") + "\n" + row("bad").replace('max_tokens": 5', 'max_tokens": 0')
    )
    assert run("in.jsonl", "-o", "out.jsonl").exit_code == 1
    same = run("in.jsonl", "-o", "out.jsonl", "--json")
    assert (same.exit_code, json.loads(same.stdout)["attempts"]) == (1, 0)
    again = run("in.jsonl", "-o", "out.jsonl", "--retry-failed", "--json")
    assert (again.exit_code, json.loads(again.stdout)["attempts"]) == (1, 1)
    assert "1 row that failed is sent again" in again.stderr
    assert (answers("out.jsonl"), answers("out.errors.jsonl")) == (["good"], ["bad"])


def test_a_changed_input_is_refused_with_the_difference_and_goes_on_by_force(
    run: Callable[..., Any], server: FakeServerProcess
) -> None:
    """Rows that are still there are not sent again, wherever they are; others are kept aside."""
    Path("in.jsonl").write_text("\n".join(row(str(i)) for i in range(6)))
    assert run("in.jsonl", "-o", "out.jsonl").exit_code == 0
    changed = [row("new"), *(row(str(i)) for i in range(5)), row("5", "something else")]
    Path("in.jsonl").write_text("\n".join(changed))
    before, sent = Path("out.jsonl").read_bytes(), server.stats()["arrived"]
    refused = run("in.jsonl", "-o", "out.jsonl")
    assert refused.exit_code == 2
    assert "of 6 rows done, 5 are unchanged" in refused.stderr
    assert "--allow-changed-input" in refused.stderr
    assert Path("out.jsonl").read_bytes() == before
    forced = run("in.jsonl", "-o", "out.jsonl", "--allow-changed-input")
    assert forced.exit_code == 0, forced.output
    assert server.stats()["arrived"] - sent == 2
    assert answers("out.jsonl") == ["0", "1", "2", "3", "4", "5", "new"]
    places = {line["custom_id"]: int(line["id"][10:22]) for line in lines("out.jsonl")}
    assert places == {"new": 1, "0": 2, "1": 3, "2": 4, "3": 5, "4": 6, "5": 7}
    assert answers("out.jsonl.stale") == ["5"]
    assert run("in.jsonl", "-o", "out.jsonl").exit_code == 0


def test_a_changed_model_is_named(run: Callable[..., Any]) -> None:
    """And what was answered by the former one stays when it is forced."""
    Path("t.csv").write_text("text\none\ntwo\n")
    command = ("t.csv", "-o", "out.jsonl", "--prompt", "Say {text}", "--model")
    assert run(*command, "gpt-4o", "--max-rows", "1").exit_code == 3
    refused = run(*command, "gpt-4.1-mini")
    assert refused.exit_code == 2
    assert '--model was "gpt-4o" and is "gpt-4.1-mini"' in refused.stderr
    assert run(*command, "gpt-4.1-mini", "--allow-changed-input").exit_code == 0
    models = {line["custom_id"]: line["response"]["body"]["model"] for line in lines("out.jsonl")}
    assert models == {"row-1": "gpt-4o", "row-2": "gpt-4.1-mini"}


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_table_from_a_file_or_a_pipe(run: Callable[..., Any], kind: str) -> None:
    """Each row a request; a row that is none fails with its place."""
    rows = [{"id": "a", "text": "Hello, you"}, {"id": "b", "text": 'say "x"'}]
    if kind == "csv":
        Path("t.csv").write_text('id,text\na,"Hello, you"\nb,"say ""x"""\n')
    elif kind == "jsonl":
        Path("t.jsonl").write_text("\n".join(json.dumps(one) for one in rows))
    else:
        arrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(
            arrow.Table.from_pylist(rows), "t.parquet"
        )
    template = ("--prompt", "Translate: {text}", "--model", "gpt-4o", "--id-column", "id")
    more = ("--system", "Be brief", "--max-tokens", "7", "--param", "temperature=0")
    result = run(f"t.{kind}", "-o", "out.jsonl", *template, *more)
    assert result.exit_code == 0, result.output
    assert answers("out.jsonl") == ["a", "b"]
    if kind != "parquet":
        piped = run(
            *("-", "--input-format", kind, "-o", "piped.jsonl", *template, *more),
            stdin=Path(f"t.{kind}").read_bytes(),
        )
        assert piped.exit_code == 0, piped.output
        assert answers("piped.jsonl") == ["a", "b"]


def test_a_pipe_goes_on_when_the_same_is_piped_again(
    run: Callable[..., Any], server: FakeServerProcess
) -> None:
    """And another one is refused."""
    text = "\n".join(row(str(i)) for i in range(8)).encode()
    assert run("-", "-o", "out.jsonl", "--max-rows", "3", stdin=text).exit_code == 3
    sent = server.stats()["arrived"]
    assert run("-", "-o", "out.jsonl", stdin=text).exit_code == 0
    assert server.stats()["arrived"] - sent == 5
    assert answers("out.jsonl") == [str(i) for i in range(8)]
    assert run("-", "-o", "out.jsonl", stdin=text + b"\n" + row("x").encode()).exit_code == 2
    assert run("-", "-o", "new.jsonl", stdin=b"").exit_code == 2
    assert not Path("new.jsonl.job").exists()


def test_a_table_is_made_anew_unless_it_is_younger_than_the_answers(
    run: Callable[..., Any],
) -> None:
    """A kill while it was made leaves the former one."""
    Path("t.csv").write_text("text\none\ntwo\n")
    command = ("t.csv", "-o", "o.csv", "--prompt", "Say {text}", "--model", "gpt-4o")
    assert run(*command).exit_code == 0
    made = Path("o.csv").read_bytes()
    assert made.count(b"answered") == 2
    Path("o.csv").write_bytes(b"mine\n")
    assert run(*command).exit_code == 0
    assert Path("o.csv").read_bytes() == b"mine\n"
    os.utime("o.csv", (1, 1))
    assert run(*command).exit_code == 0
    assert Path("o.csv").read_bytes() == made


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("t.csv", "--prompt", "Say {txt}", "--model", "m"), "did you mean 'text'?"),
        (("t.csv", "--prompt", "Say {text}"), "--model"),
        (("t.csv",), "--prompt"),
        (("t.csv", "--model", "m"), "needs --prompt"),
        (("t.csv", "--prompt", "{text}", "--model", "m", "--id-column", "no"), "'no'"),
        (("t.csv", "--prompt", "{text}", "--model", "m", "--param", "x"), "NAME=VALUE"),
        (("t.csv", "--prompt", "{text", "--model", "m"), "template"),
        (("t.xlsx", "--prompt", "{text}", "--model", "m"), "CSV"),
        (("t.csv", "--prompt", "{text}", "--model", "m", "--fsync", "maybe"), "--fsync"),
        (("t.csv", "--prompt", "{text}", "--model", "m", "--drain-timeout", "-1"), "drain"),
    ],
)
def test_flags_of_tables_that_do_not_fit_are_one_sentence_and_touch_nothing(
    run: Callable[..., Any], flags: tuple[str, ...], words: str
) -> None:
    """Exit 2, before anything is sent."""
    Path("t.csv").write_text("id,text\na,b\n")
    Path("t.xlsx").write_bytes(b"PK")
    result = run(*flags, "-o", "out.jsonl")
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert sorted(os.listdir()) == ["t.csv", "t.xlsx"]  # noqa: PTH208


def test_a_file_that_grows_is_told_and_what_was_there_is_done(
    tmp_path: Path, server: FakeServerProcess
) -> None:
    """The rows that it had when the job began."""
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join(row(str(i)) for i in range(3)) + "\n")
    from ratedispatch.events import AttemptSent

    def grow(event: object) -> None:
        if isinstance(event, AttemptSent) and event.request.custom_id == "0":
            with source.open("a") as file:
                file.write(row("later") + "\n")

    import asyncio

    import openai

    import ratedispatch as rd

    async def send() -> rd.Report:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
            return await rd.run_file(
                source,
                tmp_path / "out.jsonl",
                client=client,
                limits=rd.Limits(60_000),
                listeners=[grow],
            )

    report = asyncio.run(send())
    assert (report.answered, report.unanswered, report.stop_code) == (3, 0, None)
    assert any("when the job began" in note for note in report.notes)


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
    text = "\n".join(row(str(i), "x" * 500) for i in range(400))
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
    assert answers(str(tmp_path / "out.jsonl")) == ["a"]


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
