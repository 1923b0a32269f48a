"""What the README shows is what happens, and what it names is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import click
import pytest

import ratedispatch
from ratedispatch.cli import main
from ratedispatch.request import ENDPOINTS
from tests.docs.pages import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"
TEXT = README.read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

#: Above this heading a reader learns what there is; below it are the details.
DETAILS = "\n## Compared with other tools\n"

#: Lines of source above it: two screens, of which the picture takes half of one.
TWO_SCREENS = 70


def without_numbers(text: str) -> str:
    """Return the words of *text*, without the numbers and the bottleneck of one run."""
    words = " ".join(text.split())
    return re.sub(r"in [\d.]+ s;|used \d+%|and \d+%|bound by [^;]+;", "…", words)


@pytest.mark.slow
def test_the_first_command_answers_every_row_and_again_sends_nothing(tmp_path: Path) -> None:
    """It prints what the README shows, and a second time that all rows are done."""
    (install, *_), (shown,) = blocks(README, "console"), blocks(README, "text")
    words = shlex.split(install[0].rpartition("&& \\\n")[2])
    assert words[0] == ".venv/bin/ratedispatch"
    assert "--fake" in words
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    command = [sys.executable, "-m", "ratedispatch", *words[1:]]
    environment = {name: value for name, value in os.environ.items() if "KEY" not in name}
    environment |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path / "state")}

    def run() -> str:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    assert without_numbers(run()).endswith(without_numbers(shown[0]))
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 300
    assert " 0 sent, " in run()


def test_the_commands_install_what_there_is() -> None:
    """The extra of the tests exists, and both commands begin with the same environment."""
    first, second = (text for text, _ in blocks(README, "console"))
    assert first.partition(" && ")[0] == second.partition(" && ")[0]
    extras = re.findall(r"'\.\[(\w+)\]'", TEXT)
    assert extras
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_what_the_table_says_to_use_is_there() -> None:
    """Each command, flag and name in the second column exists."""
    rows = re.search(r"^\| You have \| Use \|\n.*?\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert rows is not None
    used = [
        code
        for row in rows[0].splitlines()[2:]
        for code in re.findall(r"`([^`]+)`", row.rpartition(" | ")[2])
    ]
    assert len(used) > 10
    context = click.Context(main)
    run = main.get_command(context, "run")
    assert run is not None
    flags = {flag for option in run.params for flag in option.opts}
    for code in used:
        words = code.removeprefix("ratedispatch ").split()
        if code.startswith("rd."):
            assert code.removeprefix("rd.") in ratedispatch.__all__
        elif code.endswith("="):
            assert code.removesuffix("=") in ratedispatch.Limits.__dataclass_fields__
        else:
            if not words[0].startswith("-"):
                assert main.get_command(context, words[0]) is not None, code
            assert {word for word in words if word.startswith("-")} <= flags, code


def test_every_flag_that_is_named_exists() -> None:
    """A flag in the text or in a block is one of a command."""
    context = click.Context(main)
    commands = [main.get_command(context, name) for name in main.list_commands(context)]
    known = {
        flag
        for command in commands
        if command is not None
        for option in command.params
        for flag in option.opts
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]+", re.sub(r"<!--.*?-->", "", TEXT)))
    assert len(named) > 6
    assert named <= known


def test_the_endpoints_and_versions_are_those_of_the_program() -> None:
    """No endpoint is missing, and the versions of the openai package are those that install."""
    assert set(re.findall(r"`(/v1/[\w/]+)`", TEXT)) == set(ENDPOINTS)
    (needed,) = (one for one in PROJECT["dependencies"] if one.startswith("openai"))
    lowest = re.search(r"versions 1 \(from ([\d.]+) on\), 2 and 3 of the `openai`", TEXT)
    assert lowest is not None
    assert needed == f"openai[aiohttp]>={lowest[1]},<4"
    assert PROJECT["requires-python"] == ">=3.11"
    assert "Python 3.11 or later" in TEXT


def test_the_details_come_after_two_screens() -> None:
    """A reader with five minutes sees what it is, how to try it and whether it fits."""
    above, _, below = TEXT.partition(DETAILS)
    assert below
    assert above.count("\n") <= TWO_SCREENS
