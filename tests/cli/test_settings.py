"""Flags that are set outside the command line, and the headings of the help."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.cli.command import Option

if TYPE_CHECKING:
    from pathlib import Path

ROW = {
    "custom_id": "a",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an input of one row; the working directory is another one."""
    (tmp_path / "in.jsonl").write_text(json.dumps(ROW))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return tmp_path


def settings(folder: Path, text: str) -> None:
    (folder / "ratedispatch.toml").write_text(text)


def parsed(name: str, *arguments: str) -> dict[str, Any]:
    """Return the values of the parameters of the command *name*."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command.make_context(name, list(arguments)).params


def refusal(name: str, *arguments: str) -> str:
    result = CliRunner().invoke(main, [name, *arguments])
    assert result.exit_code == 2, result.output
    assert isinstance(result.stderr, str)
    return result.stderr


def plan(folder: Path, *flags: str) -> dict[str, Any]:
    return parsed("plan", str(folder / "in.jsonl"), *flags)


def test_a_flag_beats_the_environment_which_beats_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the three sets a flag if those before it do not."""
    assert plan(folder)["rpm"] is None
    settings(folder, "[plan]\nrpm = 1\njson = true\n[run]\nrpm = 9\n")
    assert (plan(folder)["rpm"], plan(folder)["as_json"]) == (1, True)
    monkeypatch.setenv("RATEDISPATCH_PLAN_RPM", "2k")
    monkeypatch.setenv("RATEDISPATCH_PLAN_JSON", "0")
    assert (plan(folder)["rpm"], plan(folder)["as_json"]) == (2_000, False)
    assert plan(folder, "--rpm", "3")["rpm"] == 3
    assert plan(folder, "--no-config")["rpm"] is None


def test_values_go_through_the_types_of_the_flags(folder: Path) -> None:
    """Amounts, lists and paths are as on the command line; a path starts from the file."""
    settings(
        folder,
        '[run]\noutput = "out.jsonl"\ntpm = "1.5M"\nrpm = 1e3\nmax_in_flight = 50\n'
        'model-alias = ["a=gpt-4o", "b=gpt-4"]\nparam = "top_p=1"\nwait-for-reset = true\n'
        "drain-timeout = 2.5\n",
    )
    found = parsed("run", str(folder / "in.jsonl"))
    assert found["output"] == folder / "out.jsonl"
    assert (found["rpm"], found["tpm"], found["max_in_flight"]) == (1_000, 1_500_000, 50)
    assert found["model_alias"] == {"a": "gpt-4o", "b": "gpt-4"}
    assert found["param"] == ("top_p=1",)
    assert found["wait_for_reset"] is True
    assert found["drain_timeout"] == 2.5


@pytest.mark.parametrize(("name", "source"), [("plan", ["-"]), ("fake-server", [])])
def test_without_an_input_file_the_working_directory_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: list[str]
) -> None:
    """So for standard input, and for the fake server."""
    settings(folder, f"[{name}]\nrpm = 7\n")
    assert parsed(name, *source)["rpm"] is None
    monkeypatch.chdir(folder)
    assert parsed(name, *source)["rpm"] == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[plan]\nrmp = 5", '[plan] has an unknown key "rmp"; the nearest flag is --rpm'),
        ("[plan]\nzzz = 5", '[plan] has an unknown key "zzz"; see ratedispatch plan --help'),
        ("[plan]\ninput = 5", 'unknown key "input"'),
        ("[plna]\nrpm = 5", "[plna] is an unknown table; did you mean [plan]?"),
        ("rpm = 5", "rpm is not in a table; write [plan] above it"),
        ("[plan]\nrpm = 'many'", "[plan] rpm: 'many' is not a number such as 3000"),
        ("[plan]\nrpm = true", "[plan] rpm must be a string or a number, not true"),
        ("[plan]\nrpm = [1]", "[plan] rpm must be a string or a number, not [1]"),
        ("[plan]\nburst-seconds = 99", "[plan] burst-seconds: 99.0 is not in the range"),
        ("[plan]\nmax-tokens = 1.5", "[plan] max-tokens: '1.5' is not a valid integer"),
        ("[plan]\njson = 1", "[plan] json must be true or false, not 1"),
        ("[plan]\ncharge-policy = 'x'", "[plan] charge-policy: --charge-policy x is not one of"),
        ("[plan]\ninput-tpm = 1\ninput_tpm = 1", "[plan] has input-tpm twice"),
        ("[plan]\napi-key = 'sk'", "[plan] api-key: an API key does not belong in a file"),
        ("[plan", "ratedispatch.toml is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(folder: Path, text: str, words: str) -> None:
    """It names the file and the key, also if a flag beats the value."""
    settings(folder, text)
    said = refusal("plan", str(folder / "in.jsonl"), "--rpm", "60")
    (line,) = said.splitlines()
    assert line.startswith(f"Error: {folder / 'ratedispatch.toml'}")
    assert words in line


@pytest.mark.parametrize(
    ("name", "hint"), [("run", "with api-key-env"), ("fake-server", "give --api-key")]
)
def test_a_key_is_refused_with_what_to_do_instead(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    """The fake server has a flag for it, which the file may not set either."""
    monkeypatch.chdir(folder)
    settings(folder, f'[{name}]\napi_key = "sk-secret"\n')
    said = refusal(name, *(["in.jsonl", "-o", "out.jsonl"] if name == "run" else []))
    assert hint in said
    assert "sk-secret" not in said


def test_a_wrong_variable_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag alone would send the reader to the command line."""
    monkeypatch.setenv("RATEDISPATCH_PLAN_RPM", "many")
    assert "'--rpm' (RATEDISPATCH_PLAN_RPM): 'many'" in refusal("plan", str(folder / "in.jsonl"))


def test_what_excludes_a_value_puts_it_aside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--fake, --limits and their counterparts beat what a weaker place says."""
    source = [str(folder / "in.jsonl"), "-o", "out.jsonl"]
    settings(folder, '[run]\nbase-url = "http://127.0.0.1:9/v1"\nrpm = 5\ntpm = 6\n')
    found = parsed("run", *source, "--fake", "--limits", "some.toml")
    assert (found["base_url"], found["rpm"], found["tpm"]) == (None, None, None)
    monkeypatch.setenv("RATEDISPATCH_RUN_LIMITS", "some.toml")
    found = parsed("run", *source)
    assert (found["rpm"], str(found["limits"])) == (None, "some.toml")
    found = parsed("run", *source, "--rpm", "3")
    assert (found["rpm"], found["tpm"], found["limits"]) == (3, 6, None)


def test_the_help_needs_no_sound_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who is told of an unknown key needs the help to find the right one."""
    settings(folder, "[plan]\nrmp = 5")
    monkeypatch.chdir(folder)
    for arguments in (["--help"], ["in.jsonl", "-h"]):
        result = CliRunner().invoke(main, ["plan", *arguments])
        assert result.exit_code == 0
        assert "Usage:" in result.stdout


def test_flags_stand_under_headings() -> None:
    """In the order in which a command is read."""
    result = CliRunner().invoke(main, ["run", "--help"])
    lines = result.stdout.splitlines()
    headings = [line for line in lines if line.endswith(":") and line[0] != " "]
    assert headings == [
        "Input:",
        "Output:",
        "Limits:",
        "Provider:",
        "Durability:",
        "Caps:",
        "Display:",
        "Other:",
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", ["run", "plan", "fake-server"])
def test_every_flag_has_a_variable_of_its_own(name: str) -> None:
    """Named after the command and the flag."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    flags = [one for one in command.params if isinstance(one, Option)]
    for flag in flags:
        words = f"ratedispatch {name} {flag.key}".upper()
        assert flag.envvar == words.replace(" ", "_").replace("-", "_")
    assert (
        len({flag.envvar for flag in flags})
        == len(flags)
        == len(command.params) - (1 if name == "fake-server" else 2)
    )


def test_flags_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the shell asks for it, and whatever the settings say."""
    monkeypatch.setenv("RATEDISPATCH_RUN_RPM", "many")
    asked = {
        "_RATEDISPATCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "ratedispatch run --max-c",
        "COMP_CWORD": "2",
    }
    result = CliRunner().invoke(main, [], prog_name="ratedispatch", env=asked)
    assert result.stdout == "plain,--max-cost\nplain,--max-cost-run\n"


def test_the_version_is_told() -> None:
    """For reports of mistakes."""
    result = CliRunner().invoke(main, ["--version"], prog_name="ratedispatch")
    assert result.stdout.startswith("ratedispatch 0.")


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("RATEDISPATCH_PLAN_RMP", "the nearest is RATEDISPATCH_PLAN_RPM"),
        ("RATEDISPATCH_PLAN_ZZZ", "see ratedispatch plan --help"),
        ("RATEDISPATCH_PLAN_", "see ratedispatch plan --help"),
    ],
)
def test_an_unknown_variable_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, hint: str
) -> None:
    """It would pass silently otherwise; its value, which may be a key, is not shown."""
    monkeypatch.setenv(variable, "sk-secret")
    said = refusal("plan", str(folder / "in.jsonl"))
    assert f"the environment variable {variable} does not match any flag; {hint}\n" in said
    assert "sk-secret" not in said
    assert plan(folder, "--no-config")["rpm"] is None


def test_the_variables_of_other_commands_are_not_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those are checked when their commands run."""
    for variable in ("RATEDISPATCH_RUN_RMP", "RATEDISPATCH_PLANS", "RATEDISPATCH_FAKE_SERVER_X"):
        monkeypatch.setenv(variable, "3")
    assert plan(folder)["rpm"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[run]\nrmp = 5", '[run] has an unknown key "rmp"; the nearest flag is --rpm'),
        ("[run]\nzzz = 5", '[run] has an unknown key "zzz"; see ratedispatch run --help'),
        ("[run]\napi-key = 'sk'", "with api-key-env"),
        ("[fake-server]\nprot = 5", "the nearest flag is --port"),
        ("[fake_server]\nprot = 5", "the nearest flag is --port"),
    ],
)
def test_the_tables_of_other_commands_are_checked(folder: Path, text: str, words: str) -> None:
    """A misspelt key is found by whichever command reads the file first."""
    settings(folder, f"[plan]\nrpm = 1\n{text}")
    assert words in refusal("plan", str(folder / "in.jsonl"))


def test_the_values_of_other_tables_are_left_to_their_commands(folder: Path) -> None:
    """Only what is called like a flag is asked of them."""
    settings(folder, "[plan]\nrpm = 1\n[run]\nmax_in_flight = 'many'\n[fake-server]\nport = 1\n")
    assert plan(folder)["rpm"] == 1
