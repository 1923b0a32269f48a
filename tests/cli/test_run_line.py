"""The first line of an event log: what a run was started with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from ratedispatch.cli import main
from tests.cli.run_command import lines, row, run

if TYPE_CHECKING:
    from pathlib import Path


def test_it_says_what_was_given_and_to_whom_it_is_sent(tmp_path: Path) -> None:
    """Flags that were given, limits and the server; then the attempts, with what was billed."""
    (tmp_path / "in.jsonl").write_text(row("a") + "\n" + row("b") + "\n")
    log = tmp_path / "log.jsonl"
    flags = ["--fake", "-q", "--log-json", str(log), "--model-alias", "mine=gpt-4o"]
    flags += ["--rpd", "5k", "--burst-seconds", "1"]
    assert run(tmp_path, *flags).exit_code == 0
    first, *rest, last = lines(log)
    assert (first["event"], first["command"], first["server"]) == (
        "run",
        "run",
        "a fake server (--fake)",
    )
    assert (last["event"], last["report"]["answered"]) == ("end", 2)
    assert first["flags"]["--model-alias"] == ["mine=gpt-4o"]
    assert first["flags"]["--rpd"] == 5_000
    assert "--timeout" not in first["flags"]
    assert (first["rows"], first["done"]) == (2, 0)
    assert first["limits"] == [
        {
            "group": "",
            "models": [],
            "requests": 60_000,
            "tokens": 10_000_000,
            "requests_per_day": 5_000,
            "burst_s": 1.0,
        }
    ]
    assert [(line["usage"]["prompt"] > 0, line["usage"]["output"]) for line in rest] == [
        (True, 2),
        (True, 2),
    ]
    assert {line["cap"] for line in rest} == {5}


def test_texts_and_passwords_are_left_out(tmp_path: Path) -> None:
    """Prompts are of the rows, and an address may hold a password."""
    (tmp_path / "in.csv").write_text("text\nhello\n")
    log = tmp_path / "log.jsonl"
    arguments = ["run", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.jsonl"), "-q", "--fake"]
    arguments += ["--prompt", "Praise {text}", "--model", "gpt-4o", "--log-json", str(log)]
    arguments += ["--rpm", "60k", "--tpm", "none", "--system", "Be kind"]
    result = CliRunner().invoke(main, arguments, env={"OPENAI_BASE_URL": None})
    assert result.exit_code == 0, result.output
    flags = lines(log)[0]["flags"]
    assert (flags["--prompt"], flags["--system"], flags["--tpm"]) == ("[text]", "[text]", "none")
    assert "Praise" not in log.read_text()
