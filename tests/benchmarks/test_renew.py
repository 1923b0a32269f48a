"""The command that makes the committed results anew."""

from __future__ import annotations

import re

import pytest

from benchmarks import renew

README = (renew.RESULTS / "README.md").read_text("utf-8")


def test_the_page_names_the_command_of_each_result() -> None:
    """And no result stands there that nothing makes."""
    named = dict(re.findall(r"^\| `([\w-]+)\.json` \| `(.+)` \|$", README, re.MULTILINE))
    assert named == {name: renew.command(name) for name in renew.COMMANDS}
    assert {path.stem for path in renew.RESULTS.glob("*.json")} == set(renew.COMMANDS)


def test_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """None is run."""
    assert renew.main(["--list", "queue"]) == 0
    assert capsys.readouterr().out == f"{renew.command('queue')}\n"


def test_a_result_that_there_is_not_is_said() -> None:
    """As a mistake of the command line."""
    with pytest.raises(SystemExit, match="2"):
        renew.main(["queues"])
