"""The commands of a guide do what it says; ``python -m tests.docs.guide_commands`` tries all."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from tests.docs.guide_commands import GUIDES, follow, parts
from tests.docs.pages import DOCS

GUIDE = DOCS / "how-to" / "run-a-table.md"
SETTINGS = DOCS / "how-to" / "set-flags-once.md"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_commands_of_a_guide_print_what_it_shows(tmp_path: Path) -> None:
    """The guide that shows a whole table, with its numbers and its columns."""
    found = follow(GUIDE, tmp_path, rows=4)
    assert (found.commands, found.wrong, found.missing) == (2, (), ())


def test_every_guide_has_something_to_run() -> None:
    """Each page has a command or a program to copy."""
    for guide in GUIDES:
        assert parts(guide, "console") or "```python\n" in guide.read_text("utf-8"), guide.name


@pytest.mark.parametrize("page", [GUIDE, SETTINGS], ids=["table", "settings"])
def test_the_errors_that_a_guide_shows_are_those_of_the_program(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A placeholder without a column, and a key that is no flag."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    Path("texts.csv").write_text("id,text\n1,Good morning\n", "utf-8")
    arguments = ["run", "texts.csv", "-o", "out.csv", "--prompt", "{txt}", "--model", "m"]
    if page is SETTINGS:
        Path("ratedispatch.toml").write_text("[run]\ntpmm = 3\n", "utf-8")
        arguments = ["run", "texts.csv", "-o", "out.csv"]
    shown = re.findall(r"^Error: .*$", page.read_text("utf-8"), re.MULTILINE)
    result = CliRunner().invoke(main, [*arguments, "--base-url", "http://127.0.0.1:9/v1"])
    assert result.exit_code == 2
    assert len(shown) == 1
    assert shown[0] in result.output
