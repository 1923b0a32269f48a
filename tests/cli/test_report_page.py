"""`report` and `run --report`: pages of real runs, and what is refused before anything is sent."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.cli.page_file import write_page
from tests.cli.run_command import KEY, names, row, run
from tests.observe.page.played import material

if TYPE_CHECKING:
    from pathlib import Path


#: A line of an output.
ANSWER = (
    '{"id": "batch_req_000000000001", "custom_id": "a", "response": {"status_code": 200, '
    '"request_id": "", "body": {"model": "gpt-4.1-mini", "usage": {"prompt_tokens": 8, '
    '"completion_tokens": 2}}}, "error": null}\n'
)


def report(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def text_of(page: Path) -> str:
    return " ".join(page.read_text().split()).replace("\u00a0", " ")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines = [row(f"r{number}") for number in range(20)]
    (tmp_path / "in.jsonl").write_text("\n".join([*lines, "no row", ""]))
    return tmp_path


def test_a_run_writes_its_page(rows: Path) -> None:
    """Readable by its owner only; without a cost, since a trial costs nothing; no file beside."""
    page = rows / "r.html"
    page.write_text("<!DOCTYPE html>\nof before")
    page.chmod(0o644)
    result = run(rows, "--fake", "-q", "--report", str(page))
    assert result.exit_code == 1, result.output
    text = text_of(page)
    assert "20 of 21 rows were answered and 1 failed." in text
    assert "ratedispatch run" in text
    assert "not JSON" in text
    assert "Requests per minute" in text
    assert "$" not in text
    assert "A trial with --fake costs nothing." in text
    assert "not known" not in text
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert names(rows) == ["in.jsonl", "out.errors.jsonl", "out.jsonl", "out.jsonl.job", "r.html"]


def test_two_runs_and_their_log(rows: Path) -> None:
    """The page of the second run has both; and so has that which is made of the log later."""
    log, page = rows / "log.jsonl", rows / "r.html"
    flags = ["--fake", "-q", "--log-json", str(log), "--report", str(page)]
    first = run(rows, *flags, "--max-rows", "8")
    assert first.exit_code == 3, first.output
    assert "8 of 21 rows were answered and 13 have no result yet." in text_of(page)
    assert "Run 1 of" not in text_of(page)
    assert run(rows, *flags).exit_code == 1
    assert "Run 2 of 2" in text_of(page)
    last = json.loads(log.read_text().splitlines()[-1])
    assert (last["event"], last["report"]["answered"]) == ("end", 20)
    second = rows / "later.html"
    result = report(rows / "out.jsonl", "--log", log, "-o", second)
    assert result.exit_code == 0, result.output
    assert "open it in a browser" in result.output
    for words in ("Run 2 of 2", "stopped: max_rows", "--max-rows 8", "The figures of the last run"):
        assert words in text_of(second)


def test_a_page_without_a_log(rows: Path) -> None:
    """What the files tell, and a sentence on what is missing."""
    assert run(rows, "--fake", "-q").exit_code == 1
    assert report(rows / "out.jsonl", "-q").output == ""
    text = text_of(rows / "out.jsonl.report.html")
    assert "20 of 21 rows were answered and 1 failed." in text
    assert "The timeline shows answers only" in text
    assert "Answers per minute" in text
    (rows / "out.jsonl.job").unlink()
    assert report(rows / "out.jsonl", "-q").exit_code == 0
    assert "There is no timeline" in text_of(rows / "out.jsonl.report.html")


def test_a_forecast_beside_the_run(rows: Path) -> None:
    """From the file of a prediction; one that predicts nothing is refused before the run."""
    forecast = rows / "f.json"
    forecast.write_text('{"seconds": 12.5}')
    flags = ["--fake", "-q", "--report", str(rows / "r.html"), "--forecast", str(forecast)]
    assert run(rows, *flags).exit_code == 1
    assert "Forecast and result" in text_of(rows / "r.html")
    for content, words in (("[]", "has none of"), ("{", "is not JSON")):
        forecast.write_text(content)
        result = run(rows, *flags)
        assert result.exit_code == 2
        assert words in result.output


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("-", "cannot go to standard output"),
        ("out.jsonl", "is the output file of the job"),
        ("in.jsonl", "is the input file of the job"),
        ("", "is not a regular file"),
        ("none/r.html", "does not exist"),
        ("link", "is a link"),
    ],
)
def test_a_place_where_no_page_can_go_is_refused_before_anything_is_sent(
    rows: Path, name: str, words: str
) -> None:
    """As a mistake in the command."""
    (rows / "link").symlink_to(rows / "else")
    path = name if name == "-" else str(rows / name)
    result = run(rows, "--fake", "-q", "--report", path)
    assert result.exit_code == 2
    assert words in result.output
    assert not (rows / "out.jsonl").exists()


def test_a_page_that_cannot_be_written_changes_no_exit_code(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said; a fault of the page's own, too."""
    from ratedispatch.observe.page import render

    def fail(_: object) -> str:
        raise OSError(28, os.strerror(28))

    def break_down(_: object) -> str:
        raise ZeroDivisionError

    for fault, words in ((fail, "cannot be written (No space"), (break_down, "cannot be made")):
        monkeypatch.setattr(render, "render", fault)
        result = run(rows, "--fake", "-q", "--report", str(rows / "r.html"))
        assert result.exit_code == 1
        assert words in result.output
        assert "answered" in result.output
        assert not (rows / "r.html").exists()


def test_no_key_reaches_a_page(tmp_path: Path) -> None:
    """Whoever put it there."""
    page = tmp_path / "r.html"
    write_page(page, material(notes=(f"the key is {KEY}",)), KEY)
    assert KEY not in page.read_text()
    assert "the key is [key removed]" in page.read_text()


def test_what_is_no_output_of_a_job(tmp_path: Path) -> None:
    """A file that is not there, standard input, a page in the place of the job's own files."""
    assert "is not the output file of a job" in report(tmp_path / "out.jsonl").output
    assert "is not the output file of a job" in report("-").output
    assert "is not the output file of a job" in report(".").output
    (tmp_path / "out.0-of-2.jsonl.job").write_text("")
    assert "such as" in report(tmp_path / "out.jsonl").output
    assert "out.0-of-2.jsonl" in report(tmp_path / "out.jsonl").output
    (tmp_path / "out.jsonl").write_text("")
    result = report(tmp_path / "out.jsonl", "-o", tmp_path / "out.jsonl")
    assert "name another file" in result.output
    assert "cannot be read" in report(tmp_path / "out.jsonl", "--log", tmp_path / "no").output


def test_a_page_replaces_nothing_but_a_page(tmp_path: Path) -> None:
    """Least of all the input of the job, which its files need not name."""
    (tmp_path / "out.jsonl").write_text(ANSWER)
    other = tmp_path / "in.jsonl"
    other.write_text(row("a"))
    result = report(tmp_path / "out.jsonl", "-o", other)
    assert result.exit_code == 2
    assert "exists and is not an HTML page" in result.output
    assert other.read_text() == row("a")
    other.write_text("")
    for _ in range(2):
        assert report(tmp_path / "out.jsonl", "-o", other).exit_code == 0


@pytest.mark.parametrize("text", ["", "no answer\n", row("a")])
def test_a_file_without_answers_and_without_a_job_file_has_no_page(
    tmp_path: Path, text: str
) -> None:
    """Such as the input."""
    (tmp_path / "in.jsonl").write_text(text)
    result = report(tmp_path / "in.jsonl")
    assert result.exit_code == 2
    assert "is not an output of ratedispatch run" in result.output
    assert names(tmp_path) == ["in.jsonl"]


def test_an_event_log_without_a_run_is_said(tmp_path: Path) -> None:
    """In the place of the timeline, which is missing."""
    (tmp_path / "out.jsonl").write_text(ANSWER)
    (tmp_path / "log.jsonl").write_text("")
    page = tmp_path / "r.html"
    assert (
        report(tmp_path / "out.jsonl", "--log", tmp_path / "log.jsonl", "-o", page).exit_code == 0
    )
    assert "There is no timeline, because the event log contains no run" in text_of(page)
