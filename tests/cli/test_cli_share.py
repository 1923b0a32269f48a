"""``run --share WHERE`` as its user meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.run_command import lines, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime folder of the test's own."""
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))


@pytest.mark.parametrize("flags", [(), ("--processes", "2")])
def test_the_first_line_says_who_else_is_there(job: Path, flags: tuple[str, ...]) -> None:
    """Once, whatever the number of processes; the log says it, too."""
    log = job / "log.jsonl"
    result = run(job, "--fake", "--share", "local", "--log-json", str(log), *flags)
    assert result.exit_code == 0, result.output
    sentence = "limits are shared (local); no other process uses them now"
    assert [line for line in result.stderr.splitlines() if "shared" in line] == [sentence]
    said = [line["message"] for line in lines(log) if line["event"] == "sharing"]
    assert said == [sentence]
