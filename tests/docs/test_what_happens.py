"""The page on what happens when something goes wrong shows what real runs print."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from docs.what_happens import PAGE, Scenario, Shell, masked, play, scenarios_of

if TYPE_CHECKING:
    from pathlib import Path

TEXT = PAGE.read_text("utf-8")
SCENARIOS = scenarios_of(TEXT)


def test_every_question_has_an_answer_from_a_run() -> None:
    """Each heading has a scenario, and each block of commands what it printed and its code."""
    assert TEXT.count("\n## ") == len(SCENARIOS) == TEXT.count("<!-- run:")
    steps = [step for scenario in SCENARIOS for step in scenario.steps]
    assert len(steps) == TEXT.count("```console")
    for step in steps:
        assert re.search(r"^exit code: \d+\n\Z", step.printed, re.MULTILINE), step.commands


@pytest.mark.slow  # starts a server and the program
def test_a_run_prints_what_the_page_shows(tmp_path: Path) -> None:
    """When this fails: python -m docs.what_happens --only key."""
    (scenario,) = [one for one in SCENARIOS if "--api-key" in one.words]
    for step, printed in zip(scenario.steps, play(scenario, tmp_path), strict=True):
        assert masked(printed) == masked(step.printed)


def test_what_differs_from_run_to_run_is_not_compared() -> None:
    """Numbers, progress and the figures of a report may differ, messages and exit codes may not."""
    before = "30 of 120 rows (25%), ETA 00:09\n120 answered, 0 failed in 9.3 s\nexit code: 0\n"
    after = "90 answered, 1 failed in 10.25 s; bound by no limit\nexit code: 0\n"
    assert masked(before) == masked(after)
    assert masked("note: 1 row failed\n") == masked("note: 3 row failed\n")
    assert masked("note: 1 row failed\n") != masked("note: 1 row was sent\n")
    assert masked("exit code: 137\n") != masked("exit code: 3\n")


def test_a_shell_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    """It prints no more, not even that it is ready."""
    (scenario,) = scenarios_of("# B\n\n## A\n\n<!-- run: -->\n")
    shell = Shell(tmp_path, "http://127.0.0.1:9/v1", scenario)
    with pytest.raises(TimeoutError, match="the shell ended in: exit 4"):
        shell.run("exit 4")
    shell.close()


def test_scenarios_are_read_from_the_page() -> None:
    """A comment has the flags of the server, and words that are none."""
    page = (
        "# B\n\n## A\n\n<!-- run: --rpm 5 away=3 rows=9 -->\n"
        "```console\n$ a b\n$ c\n```\n\n```text\nd\n```\n"
    )
    (scenario,) = scenarios_of(page)
    assert isinstance(scenario, Scenario)
    assert scenario.title == "A"
    assert scenario.flags == ["--rpm", "5"]
    assert scenario.option("away") == "3"
    assert scenario.option("rows") == "9"
    assert scenario.option("disk") is None
    (step,) = scenario.steps
    assert (step.commands, step.printed) == ("a b\nc\n", "d\n")
    assert page[step.start : step.end] == "d\n"
