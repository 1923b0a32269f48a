"""A job as its user meets it: resuming, tables, pipes, and files that change."""

from __future__ import annotations

import json
import os
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
