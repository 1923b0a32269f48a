"""Mistakes on the command line of `run`: one sentence, and nothing is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from tests.cli.run_command import KEY, make_pipe, names, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda f: (f / "in.jsonl").unlink(), "does not exist"),
        (lambda f: ((f / "in.jsonl").unlink(), (f / "in.jsonl").mkdir()), "is a directory"),
        (lambda f: (f / "in.jsonl").write_text(""), "is empty"),
        (lambda f: (f / "in.jsonl").write_text("\n \n"), "is empty"),
        (lambda f: (f / "in.jsonl").write_bytes(b"\xef\xbb\xbf\n"), "is empty"),
        (make_pipe, "not a regular file"),
        (lambda f: (f / "in.jsonl").chmod(0), "cannot be read"),
        (lambda f: (f / "out.jsonl").write_text("mine"), "was not made by this job"),
        (lambda f: (f / "out.errors.jsonl").write_text("mine"), "was not made by this job"),
        (lambda f: (f / "out.jsonl").mkdir(), "is a directory"),
    ],
)
def test_files_that_are_wrong_are_one_sentence_and_touch_nothing(
    job: Path, prepare: Any, message: str
) -> None:
    """Exit 2, before anything is sent or created."""
    prepare(job)
    before = names(job)
    result = run(job, "--base-url", "http://127.0.0.1:9/v1")
    assert result.exit_code == 2
    assert message in result.stderr
    assert names(job) == before


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("missing/out.jsonl", "does not exist"),
        ("in.jsonl", "same file"),
        ("ro/o.jsonl", "written"),
        (".", "is a directory"),
    ],
)
def test_outputs_that_cannot_be_are_one_sentence(job: Path, output: str, message: str) -> None:
    """A folder that is missing or read-only; the input itself."""
    (job / "ro").mkdir(mode=0o555)
    before, text = names(job), (job / "in.jsonl").read_text()
    result = run(job, "-o", output if output == "." else str(job / output))
    assert result.exit_code == 2
    assert message in result.stderr
    assert (names(job), (job / "in.jsonl").read_text()) == (before, text)


@pytest.mark.parametrize("flag", ["--rpm", "--tpm"])
@pytest.mark.parametrize("value", ["0", "-5", "many", "nan", ""])
def test_limits_that_mean_nothing_name_the_flag(job: Path, flag: str, value: str) -> None:
    """Exit 2."""
    result = run(job, flag, value)
    assert result.exit_code == 2
    assert flag in result.stderr
    assert names(job) == ["in.jsonl"]


def test_no_key_is_one_sentence(job: Path) -> None:
    """It names the variable and the ways out."""
    result = run(job, "--api-key-env", "NO_SUCH_KEY")
    assert result.exit_code == 2
    assert "NO_SUCH_KEY" in result.stderr
    assert names(job) == ["in.jsonl"]


def test_an_unreachable_host_stops_within_seconds(job: Path) -> None:
    """Exit 2 and the address, after a few probes."""
    result = run(job, "--base-url", "http://127.0.0.1:9/v1")
    assert result.exit_code == 2
    assert "http://127.0.0.1:9/v1" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--timeout", "nan"), "--timeout"),
        (("--burst-seconds", "nan"), "--burst-seconds"),
        (("--base-url", "http://[::1/v1"), "is not a URL"),
        (("--base-url", "localhost:8000/v1"), "is not a URL"),
        (("--base-url", ""), "--base-url is empty"),
        (("--base-url", "http://127.0.0.1 :8021/v1"), "is not a URL"),
        (("-o", "-"), "standard output"),
        (("--endpoint", "/v1/nothing"), "is not one of"),
        (
            ("--prompt", "Say hi", "--model", "gpt-4o", "--endpoint", "/v1/responses"),
            "Batch format",
        ),
        (("--model-alias", "mine=nomodel"), "'nomodel' is neither a known model"),
        (("--errors-file", "-"), "standard output"),
        (("--base-url", "http://127.0.0.1:99999/v1"), "is not a URL"),
        (("--base-url", "https://a.example/v1?key=1"), "contains the query key=1"),
        (("--base-url", "https://a.example/v1/chat/completions/"), "give https://a.example/v1"),
        (("--errors-file", "{folder}/out.jsonl.job"), "same file"),
        (("-o", "/dev/null"), "not a regular file"),
        (("--charge-policy", "mine"), "openai, azure"),
        (("--max-in-flight", "0"), "--max-in-flight"),
    ],
)
def test_flags_that_mean_nothing_are_one_sentence_and_touch_nothing(
    job: Path, flags: tuple[str, ...], message: str
) -> None:
    """Exit 2."""
    result = run(job, *(flag.format(folder=job) for flag in flags))
    assert result.exit_code == 2
    assert message in result.stderr
    assert names(job) == ["in.jsonl"]


def test_a_key_in_the_place_of_a_name_is_not_shown(job: Path) -> None:
    result = run(job, "--base-url", "http://127.0.0.1:9/v1", "--api-key-env", "sk-abc123def456")
    assert result.exit_code == 2
    assert "sk-abc" not in result.output
    assert "takes the name of an environment variable" in result.output


@pytest.mark.parametrize("key", ["sk-abc\u2013def-0123", "sk-abc-0123\nsk-def", "sk-\x7f-01234"])
def test_a_key_that_cannot_be_sent_is_one_sentence(job: Path, key: str) -> None:
    """It would fail every row; it names the variable and not the key."""
    result = run(job, env={"OPENAI_API_KEY": key})
    assert result.exit_code == 2
    assert "OPENAI_API_KEY" in result.stderr
    assert key not in result.stderr
    assert names(job) == ["in.jsonl"]


def test_fake_needs_no_key_and_excludes_a_base_url(job: Path) -> None:
    """The embedded default of the README."""
    result = run(job, "--fake", env={"OPENAI_API_KEY": ""})
    assert result.exit_code == 0, result.output
    assert run(job, "--fake", "--base-url", "http://x").exit_code == 2


def test_a_password_in_the_url_is_refused_and_not_shown(job: Path) -> None:
    """Every row would fail with it, and it would stand in every message."""
    url = "http://someone:hush@localhost:9/v1"
    arguments = ["run", str(job / "in.jsonl"), "-o", str(job / "out.jsonl"), "--base-url", url]
    result = CliRunner().invoke(main, arguments, env={"OPENAI_API_KEY": KEY})
    assert result.exit_code == 2
    assert "--base-url" in result.stderr
    assert "hush" not in result.output
