"""The line of another command: the same flags, written so that a shell reads them back."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.cli.command_line import RetoldCommand, words_for
from ratedispatch.cli.input_options import input_options
from ratedispatch.cli.limit_options import limit_options
from ratedispatch.cli.run import run
from ratedispatch.cli.run_options import durability_options
from ratedispatch.cli.sending_options import sending_options
from ratedispatch.observe.command_text import shell_line

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=RetoldCommand, name="told")
@input_options
@limit_options(missing="none")
@sending_options
@durability_options
def told(**_values: object) -> None:
    """Take flags of `run`."""


def retold(*args: str, **changes: Any) -> list[str]:
    """Return the words of a line of `run` for the flags *args* with *changes*."""
    context = told.make_context("told", list(args))
    return words_for(context, run, {"output": "out.jsonl", **changes})


def parsed(words: list[str]) -> dict[str, Any]:
    """Return what `run` is given by *words*."""
    assert words[:2] == ["ratedispatch", "run"]
    return run.make_context("run", words[2:]).params


def test_flags_are_kept_as_they_were_written() -> None:
    """Short amounts, repeated flags and flags without values; what is changed comes last."""
    words = retold(
        "--rpm", "3k", "in.jsonl", "--tpm=1.5M", "--param", "a=1", "--param", "b=2", "--fake",
        "--max-in-flight", "8", "--no-config",
        max_in_flight=32, burst_seconds=0.9, max_tokens=None,
    )  # fmt: skip
    assert shell_line(words) == (
        "ratedispatch run in.jsonl --rpm 3k --tpm 1.5M --param a=1 --param b=2 --fake --no-config "
        "-o out.jsonl --max-in-flight 32 --burst-seconds 0.9"
    )


def test_the_last_of_a_flag_that_is_given_twice_counts() -> None:
    """As for the command itself."""
    assert "--rpm 9" in shell_line(retold("in.jsonl", "--rpm", "3k", "--rpm", "9"))


def test_flags_of_the_environment_and_of_the_file_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other command has variables and a section of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATEDISPATCH_TOLD_RPM", "500")
    monkeypatch.setenv("RATEDISPATCH_TOLD_FAKE", "1")
    monkeypatch.setenv("RATEDISPATCH_TOLD_TPM", "7k")
    line = shell_line(retold("in.jsonl", "--tpm", "8k"))
    assert line == "ratedispatch run in.jsonl --tpm 8k --rpm 500 --fake -o out.jsonl"


HOSTILE = ["a b", "it's", "$(rm -rf x)", "`id`", "-flag.jsonl", "a\nb", "\x1b[2J", "ü☃", "\\", '"']


@pytest.mark.parametrize("name", HOSTILE)
def test_a_shell_reads_back_what_was_meant(name: str) -> None:
    """Names that a shell, or a terminal, would take for something else."""
    words = retold("--prompt", name, "--model", "m", "--", name)
    line = shell_line(words)
    assert line.isprintable()
    script = f"printf '%s\\0' {line}"
    out = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert out.decode().split("\0")[:-1] == words
    values = parsed(words)
    assert values["prompt"] == name
    assert str(values["input"]).removeprefix("./") == name


def test_a_name_that_is_no_text_is_kept_byte_by_byte() -> None:
    """As a file system may have it."""
    assert shell_line(["x\udcff"]) == "$'x\\xff'"


@given(
    rpm=st.integers(1, 10**9),
    burst=st.none() | st.floats(0, 60),
    number=st.none() | st.integers(1, 999) | st.just("auto"),
    order=st.sampled_from(["file", "interleave", "auto"]),
    prompt=st.text(min_size=1).filter(lambda text: "\0" not in text),
)
def test_the_line_says_what_was_said(
    rpm: int, burst: float | None, number: int | str | None, order: str, prompt: str
) -> None:
    """Whatever is given and whatever is changed."""
    words = retold(
        "in.jsonl", "--rpm", str(rpm), f"--prompt={prompt}", "--model", "m",
        max_in_flight=number, burst_seconds=burst, order=order,
    )  # fmt: skip
    values = parsed(shlex.split(" ".join(map(shlex.quote, words))))
    assert (values["rpm"], values["prompt"], values["order"]) == (rpm, prompt, order)
    assert (values["burst_seconds"], values["max_in_flight"]) == (burst, number)
