"""`ratedispatch plan` as its user meets it: real files, wrong flags, one sentence each."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ratedispatch.jobs.plan.planner
from ratedispatch.cli import main
from ratedispatch.cli import plan as command
from ratedispatch.cli.reading_progress import reading_progress
from ratedispatch.jobs.plan import planner

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "docstrings.jsonl"


def row(name: str, model: str = "gpt-4o-mini", **body: Any) -> str:
    content = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    value = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions"}
    return json.dumps({**value, "body": {**content, **body}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An input of one row."""
    file = tmp_path / "in.jsonl"
    file.write_text(row("a") + "\n")
    return file


def plan(path: Path, *flags: str, env: dict[str, str] | None = None) -> Any:
    """Run the command without a key."""
    arguments = ["plan", str(path), *flags]
    for flag, value in (("--rpm", "3k"), ("--tpm", "200k")):
        if flag not in flags:
            arguments += [flag, value]
    variables = {"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None, **(env or {})}
    return CliRunner().invoke(main, arguments, env=variables)


def test_the_example_file_is_told_in_plain_text() -> None:
    """Rows, sizes, time and cost on standard output; nothing on standard error."""
    result = plan(EXAMPLE, "--rpm", "500")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    text = result.stdout
    assert text.startswith("300 rows: 300 can be sent\n")
    assert "gpt-4.1-mini" in text
    assert "requests: 300 at 500 per minute take 35.3 s" in text  # (300 − 5.83) / 8.33
    assert "tokens bind: " in text
    assert "plus the latency of the last answer" in text
    assert "at most 60,000 output tokens: an upper bound" in text
    assert "$0.40 in, $1.60 out per million (2026-" in text
    assert "█" not in text
    assert "#" in text


def test_the_example_file_as_json() -> None:
    """One object, whose parts add up."""
    result = plan(EXAMPLE, "--json", "--rpm", "500")
    assert result.exit_code == 0
    made = json.loads(result.stdout)
    assert (made["rows"], made["sendable_rows"]) == (300, 300)
    tokens = made["tokens"]
    assert tokens["prompt"] + tokens["output"] == tokens["total"]
    assert tokens["output"] == 60_000
    per_row = tokens["per_row"]
    assert per_row["p50"] < per_row["p90"] < per_row["p99"] <= per_row["max"]
    assert made["time"]["binding"] == "tokens"
    assert made["time"]["seconds"] == pytest.approx(tokens["total"] * 60 / 200_000 - 0.7)
    assert sum(bar["rows"] for bar in made["histogram"]) == 300
    group = made["groups"][0]
    expected = (group["input_tokens"] * 0.4 + 60_000 * 1.6) / 1e6
    assert made["cost"]["usd"] == pytest.approx(expected)
    assert made["unsendable"] == {"counts": {}, "total": 0, "lines": []}
    assert made["policy"] == "openai"


def test_rows_that_cannot_be_sent_are_named_by_line(path: Path) -> None:
    """Exit 1; every kind with its reason, and the others are planned."""
    lines = [
        row("a"),
        "nothing",
        "",
        row("a"),
        row("b", max_tokens=1_000_000),
        row("c", max_tokens=2_000_000),
    ]
    path.write_text("\n".join([*lines, row("d")]))
    result = plan(path)
    assert result.exit_code == 1
    text = result.stdout
    assert text.startswith("6 rows: 2 can be sent, 1 is malformed, 1 repeats a custom_id")
    assert "4 rows cannot be sent:" in text
    for sentence in (
        "line 2: not JSON",
        "line 4: custom_id 'a' is used on an earlier line",
        "line 5: request 'b' costs 1,000,008 tokens but the limit is 200,000",
        "line 6: request 'c' costs 2,000,008 tokens",
    ):
        assert sentence in text
    made = json.loads(plan(path, "--json").stdout)
    assert [finding["line"] for finding in made["unsendable"]["lines"]] == [2, 4, 5, 6]
    assert made["unsendable"]["counts"] == {
        "invalid_line": 1,
        "duplicate_custom_id": 1,
        "cost_exceeds_limit": 2,
    }
    assert made["sendable_rows"] == 2


def test_only_the_first_twenty_are_listed(path: Path) -> None:
    """And the first 1,000 as JSON; all are counted."""
    path.write_text('{"body": 5}\n' + "nothing\n" * 1_049)
    result = plan(path)
    assert result.exit_code == 1
    assert result.stdout.count("  line ") == 20
    assert "… and 1,030 more; --json lists the first 1,000" in result.stdout
    made = json.loads(plan(path, "--json").stdout)
    assert len(made["unsendable"]["lines"]) == 1_000
    assert made["unsendable"]["total"] == 1_050
    assert made["cost"]["usd"] is None


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda f: f.unlink(), "does not exist"),
        (lambda f: (f.unlink(), f.mkdir()), "is a directory; give a JSONL file"),
        (lambda f: f.write_text(""), "is empty"),
        (lambda f: f.write_text("\n \n"), "is empty"),
        (lambda f: f.chmod(0), "cannot be read: permission denied"),
    ],
)
def test_an_input_that_is_wrong_is_one_sentence(path: Path, prepare: Any, message: str) -> None:
    """Exit 2, in the words of `run`."""
    prepare(path)
    result = plan(path)
    assert result.exit_code == 2
    assert f"the input {path} {message}" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rpm", "0"], "--rpm"),
        (["--tpm", "many"], "'many' is not a number such as 3000, 30k or 1.5M, nor auto"),
        (["--rpd", "auto"], "--rpd"),
        (["--burst-seconds", "61"], "--burst-seconds"),
        (["--default-output-tokens", "-1"], "--default-output-tokens"),
        (["--charge-policy", "nobody"], "--charge-policy nobody is not one of openai, "),
        (["--price-in", "1"], "--price-in and --price-out must be given together"),
        (["--price-out", "1"], "--price-in and --price-out must be given together"),
        (["--price-in", "-1", "--price-out", "1"], "--price-in"),
        (["--price-in", "inf", "--price-out", "1"], "is not a finite number"),
        (["--price-in", "1", "--price-out", "nan"], "is not a finite number"),
    ],
)
def test_flags_that_mean_nothing_are_named(path: Path, flags: list[str], message: str) -> None:
    """Exit 2."""
    result = plan(path, *flags)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def alone(path: Path, *flags: str) -> Any:
    """Run the command with no other flags."""
    return CliRunner().invoke(main, ["plan", str(path), *flags], env={"OPENAI_BASE_URL": None})


@pytest.mark.parametrize("flags", [[], ["--rpm", "auto"], ["--burst-seconds", "1"]])
def test_no_limit_at_all_is_a_wrong_usage(path: Path, flags: list[str]) -> None:
    """At least one has to be known."""
    result = alone(path, *flags)
    assert result.exit_code == 2
    assert "give at least one, such as --rpm 500 or --tpm 200k, or --limits" in result.stderr


@pytest.mark.parametrize(
    ("flags", "dimension"),
    [
        (["--rpm", "500"], "requests"),
        (["--tpm", "200k", "--rpm", "auto"], "tokens"),
        (["--rpd", "500"], "requests_per_day"),
        (["--tpd", "1M"], "tokens_per_day"),
        (["--input-tpm", "200k"], "input_tokens"),
        (["--output-tpm", "200k"], "output_tokens"),
    ],
)
def test_one_limit_is_enough(path: Path, flags: list[str], dimension: str) -> None:
    """Another one that is not known does not bind."""
    result = alone(path, *flags, "--json")
    assert result.exit_code == 0, result.output
    assert [need["dimension"] for need in json.loads(result.stdout)["time"]["needs"]] == [dimension]


def test_groups_of_limits_come_from_a_file(path: Path) -> None:
    """Each with its rows, its limits and its time."""
    path.write_text("\n".join([row("a"), row("b"), row("c", "gpt-4o"), row("d", "o3")]))
    limits = path.with_name("limits.toml")
    limits.write_text(
        '[groups.small]\nmodels = ["gpt-4o-mini"]\nrpm = 60\n'
        '[groups.large]\nmodels = ["gpt-4o*"]\nrpm = 30\nrpd = 1000\n'
    )
    result = alone(path, "--limits", str(limits), "--json")
    assert result.exit_code == 1
    made = json.loads(result.stdout)
    assert made["unsendable"]["counts"] == {"no_limits": 1}
    assert [(part["name"], part["rows"]) for part in made["time"]["groups"]] == [
        ("small", 2),
        ("large", 1),
    ]
    assert made["time"]["seconds"] == pytest.approx(1.0)
    text = alone(path, "--limits", str(limits)).stdout
    assert "1 has a model without limits" in text
    assert "small (gpt-4o-mini): 2 rows" in text
    limits.write_text('[groups.small]\nmodels = ["gpt-4o-mini"]\n')
    text = alone(path, "--limits", str(limits)).stdout
    assert "No limit is known" in text


def test_a_limits_file_excludes_the_other_limits(path: Path) -> None:
    """And names those that were given."""
    result = alone(path, "--limits", "x.toml", "--rpd", "5", "--rpm", "auto")
    assert result.exit_code == 2
    assert "--limits and --rpm, --rpd cannot be used together" in result.stderr
    result = alone(path, "--limits", str(path.with_name("none.toml")))
    assert result.exit_code == 2
    assert "none.toml does not exist" in result.stderr


@pytest.mark.parametrize(
    ("flags", "env", "name"),
    [
        ([], {}, "openai"),
        ([], {"OPENAI_BASE_URL": "https://api.anthropic.com/v1"}, "anthropic"),
        (["--base-url", "https://x.openai.azure.com"], {}, "azure"),
        (["--base-url", "http://localhost:8000/v1"], {}, "cautious"),
        (["--base-url", "http://localhost:8000/v1", "--charge-policy", "tokens"], {}, "tokens"),
    ],
)
def test_the_policy_follows_the_base_url(
    path: Path, flags: list[str], env: dict[str, str], name: str
) -> None:
    """Unless it is named."""
    assert json.loads(plan(path, "--json", *flags, env=env).stdout)["policy"] == name


def test_a_model_that_is_not_known_is_a_note_and_has_no_price(path: Path) -> None:
    """One sentence on standard error, and a price for all models can be given."""
    path.write_text(row("a", "my-model\x1b[31m") + "\n" + row("b", "my-model\x1b[31m"))
    result = plan(path)
    assert result.exit_code == 0
    assert result.stderr.startswith("note: model 'my-model")
    assert result.stderr.count("note:") == 1
    assert "No price is known for my-model" in result.stdout
    assert "\x1b" not in result.stdout
    made = json.loads(plan(path, "--json", "--price-in", "10", "--price-out", "20").stdout)
    group = made["groups"][0]
    assert made["cost"]["usd"] == pytest.approx((group["input_tokens"] * 10 + 10 * 20) / 1e6)
    assert made["cost"]["unpriced"] == []


def test_many_models_are_cut(path: Path) -> None:
    """The table and the list of models without a price have twenty lines each."""
    path.write_text("\n".join(row(f"r{n}", f"gpt-4-x{n}") for n in range(30)))
    text = plan(path).stdout
    assert "… 10 more" in text
    assert "gpt-4-x27, …" in text or ", …" in text


def test_an_interruption_is_one_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 130, no traceback, nothing on standard output."""

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ratedispatch.jobs.plan.planner, "plan_file", interrupted)
    result = plan(path)
    assert result.exit_code == 130
    assert result.stderr == "interrupted: nothing was sent, and nothing was written\n"
    assert result.stdout == ""


def test_reading_that_breaks_off_is_one_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2."""

    def broken(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ratedispatch.jobs.plan.planner, "plan_file", broken)
    result = plan(path)
    assert result.exit_code == 2
    assert f"the input {path} cannot be read: Input/output error" in result.stderr


class _Terminal:
    """As much of a stream as is asked whether it is a terminal."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "█"), ("ascii", "#"), ("latin-1", "#")])
def test_bars_are_blocks_only_where_there_are_blocks(
    encoding: str, bar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal that has them."""
    monkeypatch.setattr(sys, "stdout", _Terminal(encoding))
    assert command._bar_character() == bar


def test_progress_is_shown_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By bytes; not when it is to be quiet, nor elsewhere."""
    with reading_progress(quiet=False) as show:
        assert show is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with reading_progress(quiet=True) as show:
        assert show is None
    with reading_progress(quiet=False) as show:
        assert show is not None
        show(1, 2)
    assert "reading" in capsys.readouterr().err


def test_a_deployments_name_is_counted_like_its_model(tmp_path: Path) -> None:
    """gpt-4 renders tools and counts by another encoding than what an unknown name gets."""
    row = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "prod", "messages": [{"role": "user", "content": "Ünïcödé " * 50}]},
    }
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")

    def prompt_tokens(*flags: str) -> int:
        arguments = [
            "plan",
            str(path),
            "--rpm",
            "60",
            "--charge-policy",
            "tokens",
            "--json",
            *flags,
        ]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0
        return int(json.loads(result.stdout)["tokens"]["prompt"])

    assert prompt_tokens("--model-alias", "prod=gpt-4") > prompt_tokens()
    alias = ["--model-alias", "prod=nomodel"]
    result = CliRunner().invoke(main, ["plan", str(path), "--rpm", "60", *alias])
    assert (result.exit_code, "'nomodel' is neither" in result.stderr) == (2, True)
    result = CliRunner().invoke(main, ["plan", str(path), "--rpm", "60", "--prompt", " "])
    assert (result.exit_code, "prompt is empty" in result.stderr) == (2, True)
    result = CliRunner().invoke(main, ["plan", str(path), "--rpm", "60", "--model-alias", "prod"])
    assert result.exit_code == 2
    assert "NAME=MODEL" in result.stderr


def test_a_file_that_was_planned_is_not_read_again(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same output; --no-memory reads it, and keeps nothing."""
    counts = tmp_path / "ratedispatch" / "counts"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    os.utime(path, ns=(10**18, 10**18))
    first = plan(path, "--no-memory")
    assert not counts.exists()
    assert plan(path).stdout == first.stdout
    assert len(list(counts.iterdir())) == 1

    def unread(*_: Any, **__: Any) -> None:
        raise AssertionError("the file was read")

    monkeypatch.setattr(planner, "read_rows", unread)
    assert plan(path).stdout == first.stdout
    assert isinstance(plan(path, "--no-memory").exception, AssertionError)
